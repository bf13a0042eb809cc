//! What a proxy between two processes does, whatever it listens on: it hands on, holds back, or cuts.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A connection that can be read, written and ended from several threads.
pub(crate) trait Connection: Read + Write + Send + Sized + 'static {
    /// Another handle of it.
    fn another(&self) -> io::Result<Self>;
    /// Ends it on both sides.
    fn end(&self) -> io::Result<()>;
}

impl Connection for UnixStream {
    fn another(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Both)
    }
}

impl Connection for TcpStream {
    fn another(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Both)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    Frozen,
    Cut,
}

struct State<C> {
    way: Way,
    /// Both ends of each connection there is.
    pairs: BTreeMap<u64, [C; 2]>,
    /// How many there were.
    count: u64,
    /// How many are waiting to hand on what they have read.
    holding: usize,
}

/// What all connections of one proxy go through.
pub(crate) struct Gate<C> {
    state: Mutex<State<C>>,
    changed: Condvar,
    /// How many bytes were handed on to the far side.
    sent: AtomicU64,
}

impl<C: Connection> Gate<C> {
    pub(crate) fn open() -> Arc<Self> {
        let state = Mutex::new(State {
            way: Way::Open,
            pairs: BTreeMap::new(),
            count: 0,
            holding: 0,
        });
        Arc::new(Self {
            state,
            changed: Condvar::new(),
            sent: AtomicU64::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, way: Way) {
        let mut state = self.state();
        state.way = way;
        if way == Way::Cut {
            for connection in std::mem::take(&mut state.pairs).values().flatten() {
                // One that has ended by itself is as good as cut.
                let _ended = connection.end();
            }
        }
        self.changed.notify_all();
    }

    /// Ends every connection and takes no more.
    pub(crate) fn cut(&self) {
        self.set(Way::Cut);
    }

    /// Hands nothing on any more, in neither direction, and ends nothing.
    pub(crate) fn freeze(&self) {
        self.set(Way::Frozen);
    }

    /// Hands on again, what was held back first.
    pub(crate) fn heal(&self) {
        self.set(Way::Open);
    }

    /// How many bytes were handed on to the far side so far, over all connections.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// How many connections are held back: somebody has asked there, and has no answer.
    pub(crate) fn holding(&self) -> usize {
        let state = self.state();
        if state.way == Way::Frozen {
            state.holding
        } else {
            0
        }
    }

    /// Waits while all is frozen; whether the way is open then.
    fn pass(&self) -> bool {
        let mut state = self.state();
        state.holding += 1;
        while state.way == Way::Frozen {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.holding -= 1;
        state.way == Way::Open
    }

    /// Knows both ends, so that a cut finds them; unless the way is cut already.
    fn admit(&self, near: &C, far: &C) -> Option<u64> {
        let pair = [near.another().ok()?, far.another().ok()?];
        let mut state = self.state();
        if state.way == Way::Cut {
            return None;
        }
        state.count += 1;
        let number = state.count;
        state.pairs.insert(number, pair);
        Some(number)
    }

    /// Takes connections from a listener for as long as the process lives.
    pub(crate) fn serve(
        self: &Arc<Self>,
        incoming: impl Iterator<Item = io::Result<C>> + Send + 'static,
        connect: impl Fn() -> io::Result<C> + Clone + Send + 'static,
    ) {
        let gate = self.clone();
        thread::spawn(move || {
            for near in incoming.map_while(Result::ok) {
                let (gate, connect) = (gate.clone(), connect.clone());
                thread::spawn(move || forward(&gate, near, &connect));
            }
        });
    }
}

fn forward<C: Connection>(gate: &Arc<Gate<C>>, near: C, connect: &impl Fn() -> io::Result<C>) {
    if !gate.pass() {
        return;
    }
    let Ok(far) = connect() else {
        return;
    };
    let Some(number) = gate.admit(&near, &far) else {
        return;
    };
    if let (Ok(back_from), Ok(back_to)) = (far.another(), near.another()) {
        let backwards = gate.clone();
        let back = thread::spawn(move || pump(&backwards, back_from, back_to, |_| {}));
        pump(gate, near, far, |read| {
            gate.sent.fetch_add(read as u64, Ordering::SeqCst);
        });
        let _ended = back.join();
    }
    gate.state().pairs.remove(&number);
}

/// Hands on in one direction. What was read is counted before it is handed on, so that whoever has an answer finds what
/// it took counted.
fn pump<C: Connection>(gate: &Gate<C>, mut from: C, mut to: C, count: impl Fn(usize)) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        count(read);
        let sent = buffer.get(..read).unwrap_or_default();
        if !gate.pass() || to.write_all(sent).is_err() {
            break;
        }
    }
    // What ends on the one side ends on the other.
    let _ended = from.end();
    let _ended = to.end();
}
