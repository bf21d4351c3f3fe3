//! Stream: a data connection as timely uses it, which ends a run by the alarm instead of a panic.
//!
//! Timely panics on its own threads when a connection breaks. Here the reading side of a broken connection stays silent
//! and the writing side swallows, until the alarm has ended the run and the process with it.

use super::alarm::Alarm;
use crate::error::ClusterError;
use crate::error::Peer;
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use timely::communication::allocator::zero_copy::stream::Stream;

/// Timely's farewell is a header of six zero words.
const FAREWELL_BYTES: usize = 48;

/// One end of a data connection. Clones share the connection.
pub struct DataStream {
    shared: Arc<Shared>,
    /// How many zero bytes the last bytes read were, as far as a farewell is long.
    zeros: usize,
}

struct Shared {
    socket: TcpStream,
    peer: Peer,
    alarm: Alarm,
    is_ending: Arc<AtomicBool>,
    is_broken: AtomicBool,
}

impl DataStream {
    /// Wraps a connection. While `is_ending`, a connection may break without an alarm: processes end one after the other.
    pub fn new(socket: TcpStream, peer: Peer, alarm: Alarm, is_ending: Arc<AtomicBool>) -> DataStream {
        let shared = Shared { socket, peer, alarm, is_ending, is_broken: AtomicBool::new(false) };
        DataStream { shared: Arc::new(shared), zeros: 0 }
    }

    fn note(&mut self, read: &[u8]) {
        let zeros = read.iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == read.len() { self.zeros + zeros } else { zeros };
    }
}

impl Shared {
    fn broken(&self, what: &str) {
        let is_first = !self.is_broken.swap(true, Ordering::Relaxed);
        if is_first && !self.is_ending.load(Ordering::Relaxed) {
            self.alarm.raise(ClusterError::Lost { peer: self.peer.clone(), what: what.to_owned() });
        }
    }
}

impl Read for DataStream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match (&self.shared.socket).read(buffer) {
                Ok(0) if self.zeros >= FAREWELL_BYTES => return Ok(0),
                Ok(0) => self.shared.broken("its data connection was closed"),
                Ok(count) => {
                    self.note(&buffer[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => self.shared.broken(&error.to_string()),
            }
            // any result would make timely panic; the run ends without it
            loop {
                std::thread::park();
            }
        }
    }
}

impl Write for DataStream {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if !self.shared.is_broken.load(Ordering::Relaxed) {
            match (&self.shared.socket).write(bytes) {
                Ok(count) if count > 0 || bytes.is_empty() => return Ok(count),
                Ok(_) => self.shared.broken("its data connection takes no bytes"),
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => self.shared.broken(&error.to_string()),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Stream for DataStream {
    fn try_clone(&self) -> Result<DataStream> {
        Ok(DataStream { shared: Arc::clone(&self.shared), zeros: 0 })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> Result<()> {
        self.shared.socket.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> Result<()> {
        // a connection that broke is shut already
        let _ = self.shared.socket.shutdown(how);
        Ok(())
    }
}
