//! A UDP relay between reefs and a colony that keeps what it has seen.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a thread of the relay waits for a datagram before it looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The largest datagram.
const BYTES_MAX: usize = 65_536;

/// A relay on a free port. Ended when dropped.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    colony: Mutex<SocketAddr>,
    seen: Mutex<Vec<Vec<u8>>>,
    is_over: AtomicBool,
}

impl Relay {
    pub fn start(colony: SocketAddr) -> Relay {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let shared =
            Arc::new(Shared { colony: Mutex::new(colony), seen: Mutex::default(), is_over: AtomicBool::new(false) });
        let own = shared.clone();
        let thread = named("relay", move || forward(&socket, &own));
        Relay { address, shared, thread: Some(thread) }
    }

    /// Where reefs find the colony.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The colony has another address.
    pub fn lead_to(&self, colony: SocketAddr) {
        *self.shared.colony.lock().unwrap() = colony;
    }

    /// Every datagram so far.
    pub fn seen(&self) -> Vec<Vec<u8>> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn named(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).unwrap()
}

/// Each reef has a socket of its own towards the colony.
fn forward(socket: &UdpSocket, shared: &Arc<Shared>) {
    socket.set_read_timeout(Some(LOOK_EVERY)).unwrap();
    let mut reefs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut backwards = Vec::new();
    let mut buffer = vec![0; BYTES_MAX];
    while !shared.is_over.load(Ordering::Relaxed) {
        let Ok((length, reef)) = socket.recv_from(&mut buffer) else { continue };
        let towards = reefs.entry(reef).or_insert_with(|| {
            let towards = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
            let (answers, to, shared) = (towards.clone(), socket.try_clone().unwrap(), shared.clone());
            backwards.push(named("relay-back", move || back(&answers, (&to, reef), &shared)));
            towards
        });
        shared.seen.lock().unwrap().push(buffer[..length].to_vec());
        let colony = *shared.colony.lock().unwrap();
        let _ = towards.send_to(&buffer[..length], colony);
    }
    for thread in backwards {
        let _ = thread.join();
    }
}

fn back(answers: &UdpSocket, (to, reef): (&UdpSocket, SocketAddr), shared: &Shared) {
    answers.set_read_timeout(Some(LOOK_EVERY)).unwrap();
    let mut buffer = vec![0; BYTES_MAX];
    while !shared.is_over.load(Ordering::Relaxed) {
        // an error is also a colony that does not listen now
        let Ok((length, _)) = answers.recv_from(&mut buffer) else { continue };
        shared.seen.lock().unwrap().push(buffer[..length].to_vec());
        let _ = to.send_to(&buffer[..length], reef);
    }
}
