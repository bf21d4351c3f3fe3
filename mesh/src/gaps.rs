//! Gaps in received data: missing segments are requested at once, where smoltcp's sender would wait a second.
//!
//! smoltcp sends again early only after three duplicate acknowledgements in a row, and only once per gap; a gap near
//! the end of the window, a second one, or a repeat that is lost too costs its retransmission timeout of at least a
//! second. The receiver has better information: a gap that still exists after [`REORDER`] is not caused by reordering.
//! It therefore sends the last acknowledgement four times with a window smaller by a byte or two. The first counts as a
//! window update and resets the sender's count; the other three are the duplicates that make it send the missing
//! segment.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::Instant;

/// Segments that overtake others by less are not missing.
const REORDER: Duration = Duration::from_millis(10);
/// Interval of requests for a gap. The response takes a round trip; one request too many costs one segment.
const AGAIN: Duration = Duration::from_millis(250);
/// Maximum number of requests for one gap: after four seconds its connection has ended or is about to.
const TIMES_MAX: u16 = 16;
/// Copies of the acknowledgement: one that starts the count, three that count.
const COPIES: usize = 4;
/// Watched connections; those silent for this time have ended.
const FLOWS_MAX: usize = 512;
const SILENT: Duration = Duration::from_secs(60);

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Remote address and port, own port.
type Key = (Ipv4Addr, u16, u16);

struct Flow {
    /// Up to where everything has been received and acknowledged.
    acknowledged: u32,
    /// The end of the farthest byte received.
    farthest: u32,
    /// The last packet that does nothing but acknowledge.
    acknowledgement: Vec<u8>,
    /// When the current gap was first seen and last requested.
    since: Option<Instant>,
    asked: Option<Instant>,
    times: u16,
    at: Instant,
}

/// The used fields of a TCP packet.
struct Segment {
    from: Ipv4Addr,
    to: Ipv4Addr,
    from_port: u16,
    to_port: u16,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: u32,
    header_at: usize,
}

fn parse(packet: &[u8]) -> Option<Segment> {
    let (from, to) = crate::wire::addresses(packet)?;
    let header_at = usize::from(packet[0] & 0x0f) * 4;
    let word = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
    if packet[9] != 6 || header_at < 20 || packet.len() < header_at + 20 {
        return None;
    }
    let data_at = header_at + usize::from(packet[header_at + 12] >> 4) * 4;
    let payload = u32::try_from(packet.len().checked_sub(data_at)?).ok()?;
    Some(Segment {
        from,
        to,
        from_port: word(header_at)?,
        to_port: word(header_at + 2)?,
        seq: long(header_at + 4)?,
        ack: long(header_at + 8)?,
        flags: packet[header_at + 13],
        payload,
        header_at,
    })
}

/// Sequence numbers wrap around.
fn is_before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

/// The connections of one stack.
#[derive(Default)]
pub(crate) struct Gaps {
    flows: HashMap<Key, Flow>,
}

impl Gaps {
    /// Handles an incoming packet.
    pub(crate) fn received(&mut self, packet: &[u8], now: Instant) {
        let Some(segment) = parse(packet) else { return };
        let key = (segment.from, segment.from_port, segment.to_port);
        if segment.flags & (SYN | RST) != 0 {
            self.flows.remove(&key);
        } else if segment.payload > 0 {
            let end = segment.seq.wrapping_add(segment.payload);
            if !self.flows.contains_key(&key) {
                self.make_room(now);
            }
            let flow = self.flows.entry(key).or_insert_with(|| Flow {
                acknowledged: segment.seq,
                farthest: end,
                acknowledgement: Vec::new(),
                since: None,
                asked: None,
                times: 0,
                at: now,
            });
            flow.at = now;
            if is_before(flow.farthest, end) {
                flow.farthest = end;
            }
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.flows.len() >= FLOWS_MAX {
            self.flows.retain(|_, flow| now.saturating_duration_since(flow.at) < SILENT);
        }
        if self.flows.len() >= FLOWS_MAX {
            self.flows.clear();
        }
    }

    /// A packet goes out.
    pub(crate) fn sent(&mut self, packet: &[u8], now: Instant) {
        let Some(segment) = parse(packet) else { return };
        let Some(flow) = self.flows.get_mut(&(segment.to, segment.to_port, segment.from_port)) else { return };
        if segment.flags & ACK == 0 {
            return;
        }
        if segment.ack != flow.acknowledged {
            (flow.acknowledged, flow.since, flow.asked, flow.times) = (segment.ack, None, None, 0);
        }
        if segment.payload == 0 && segment.flags & (SYN | FIN | RST) == 0 {
            flow.acknowledgement.clear();
            flow.acknowledgement.extend_from_slice(packet);
        }
        if is_before(flow.acknowledged, flow.farthest) {
            flow.since.get_or_insert(now);
        } else {
            flow.since = None;
        }
    }

    /// When [`Gaps::due`] has something.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.flows.values().filter_map(Flow::due_at).min()
    }

    /// Acknowledgements that request the missing segments.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        for flow in self.flows.values_mut() {
            if flow.due_at().is_some_and(|at| at <= now) {
                flow.asked = Some(now);
                flow.times = flow.times.wrapping_add(1);
                packets.extend(flow.ask());
            }
        }
        packets
    }
}

impl Flow {
    fn due_at(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.times < TIMES_MAX)?;
        Some(self.asked.map_or(since + REORDER, |asked| asked + AGAIN))
    }

    fn ask(&self) -> Vec<Vec<u8>> {
        let Some(segment) = parse(&self.acknowledgement).filter(|it| it.ack == self.acknowledged) else {
            return Vec::new();
        };
        let mut packet = self.acknowledgement.clone();
        let (window_at, sum_at) = (segment.header_at + 14, segment.header_at + 16);
        let field = |packet: &[u8], at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        let window = field(&packet, window_at);
        let smaller = window.saturating_sub(1 + self.times % 2);
        if smaller == 0 {
            // a closed window asks for nothing
            return Vec::new();
        }
        // RFC 1624, equation 3
        let mut sum = u32::from(!field(&packet, sum_at)) + u32::from(!window) + u32::from(smaller);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        packet[window_at..window_at + 2].copy_from_slice(&smaller.to_be_bytes());
        packet[sum_at..sum_at + 2].copy_from_slice(&(!u16::try_from(sum).unwrap_or(0)).to_be_bytes());
        vec![packet; COPIES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAR: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);
    const OWN: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 100);

    fn packet(inward: bool, seq: u32, ack: u32, payload: usize) -> Vec<u8> {
        let mut packet = vec![0; 40 + payload];
        (packet[0], packet[9]) = (0x45, 6);
        let ((from, from_port), (to, to_port)) =
            if inward { ((FAR, 9000_u16), (OWN, 50_000_u16)) } else { ((OWN, 50_000), (FAR, 9000)) };
        packet[12..16].copy_from_slice(&from.octets());
        packet[16..20].copy_from_slice(&to.octets());
        packet[20..22].copy_from_slice(&from_port.to_be_bytes());
        packet[22..24].copy_from_slice(&to_port.to_be_bytes());
        packet[24..28].copy_from_slice(&seq.to_be_bytes());
        packet[28..32].copy_from_slice(&ack.to_be_bytes());
        (packet[32], packet[33]) = (0x50, ACK);
        packet[34..36].copy_from_slice(&1000_u16.to_be_bytes());
        packet
    }

    /// The sum over the words of header and payload, without the pseudo header, which does not change.
    fn sum(packet: &[u8]) -> u16 {
        let mut sum: u32 = packet[20..].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_that_stays_is_asked_for_and_one_that_closes_is_not() {
        let (mut gaps, start) = (Gaps::default(), Instant::now());
        let seq = u32::MAX - 500; // across the wrap
        gaps.received(&packet(true, seq, 0, 100), start);
        gaps.sent(&packet(false, 0, seq.wrapping_add(100), 0), start);
        assert_eq!(gaps.next_at(), None);
        // one is missing
        gaps.received(&packet(true, seq.wrapping_add(200), 0, 100), start);
        gaps.sent(&packet(false, 0, seq.wrapping_add(100), 0), start);
        assert_eq!(gaps.next_at(), Some(start + REORDER));
        assert!(gaps.due(start).is_empty());
        let asked = gaps.due(start + REORDER);
        assert_eq!(asked.len(), COPIES);
        let window = |packet: &[u8]| u16::from_be_bytes([packet[34], packet[35]]);
        assert!(
            asked.iter().all(|it| window(it) < 1000 && sum(it) == sum(&packet(false, 0, seq.wrapping_add(100), 0)))
        );
        // the repeat was lost too
        assert!(gaps.due(start + REORDER * 2).is_empty());
        let again = gaps.due(start + REORDER + AGAIN);
        assert!(again.len() == COPIES && window(&again[0]) != window(&asked[0]));
        gaps.received(&packet(true, seq.wrapping_add(100), 0, 100), start);
        gaps.sent(&packet(false, 0, seq.wrapping_add(300), 0), start);
        assert_eq!(gaps.next_at(), None);
    }

    proptest! {
        #[test]
        fn any_packets_may_come(packets in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..20)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let (mut gaps, now) = (Gaps::default(), Instant::now());
                for (inward, mut packet) in packets {
                    if packet.len() > 20 {
                        (packet[0], packet[9]) = (0x45, 6);
                    }
                    if inward { gaps.received(&packet, now) } else { gaps.sent(&packet, now) }
                    gaps.due(now + AGAIN);
                }
            });
        }
    }
}
