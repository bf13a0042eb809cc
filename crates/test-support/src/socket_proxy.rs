//! Stands between a server and its PostgreSQL, and can be cut or frozen: an outage for one replica alone.

use std::fs::{self, DirBuilder};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What PostgreSQL's socket is called in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    Frozen,
    Cut,
}

struct State {
    way: Way,
    streams: Vec<UnixStream>,
    /// How many are waiting to hand on what they have read.
    holding: usize,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// How many bytes were handed on to PostgreSQL.
    sent: AtomicU64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, way: Way) {
        let mut state = self.state();
        state.way = way;
        if way == Way::Cut {
            for stream in state.streams.drain(..) {
                // One that has ended by itself is as good as cut.
                let _ended = stream.shutdown(Shutdown::Both);
            }
        }
        self.changed.notify_all();
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
}

/// The proxy. It listens on a unix socket of its own, and ends with the value.
pub struct SocketProxy {
    folder: PathBuf,
    url: String,
    shared: Arc<Shared>,
}

impl SocketProxy {
    /// Listens for a database whose address names the folder of PostgreSQL's socket as its host.
    ///
    /// # Panics
    /// When it can't listen, or the address names no folder.
    pub fn start(url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let folder =
            std::env::temp_dir().join(format!("grantor-proxy-{}-{count}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .expect("a folder for the proxy's socket");
        let listener = UnixListener::bind(folder.join(SOCKET)).expect("the proxy's socket");
        let host = url
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("host="))
            .expect("an address with a host");
        let upstream = PathBuf::from(decoded(host)).join(SOCKET);
        let url = url.replace(host, &folder.to_string_lossy());
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                way: Way::Open,
                streams: Vec::new(),
                holding: 0,
            }),
            changed: Condvar::new(),
            sent: AtomicU64::new(0),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = accepting.clone();
                let upstream = upstream.clone();
                thread::spawn(move || forward(&shared, stream, &upstream));
            }
        });
        Self {
            folder,
            url,
            shared,
        }
    }

    /// The database's address by way of the proxy.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Ends every connection and takes no more.
    pub fn cut(&self) {
        self.shared.set(Way::Cut);
    }

    /// Hands nothing on any more, in neither direction, and ends nothing.
    pub fn freeze(&self) {
        self.shared.set(Way::Frozen);
    }

    /// Hands on again, what was held back first.
    pub fn heal(&self) {
        self.shared.set(Way::Open);
    }

    /// How many bytes PostgreSQL was sent so far, over all connections.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// How many connections are held back: somebody has asked there, and has no answer.
    pub fn holding(&self) -> usize {
        let state = self.shared.state();
        if state.way == Way::Frozen {
            state.holding
        } else {
            0
        }
    }
}

impl Drop for SocketProxy {
    fn drop(&mut self) {
        self.shared.set(Way::Cut);
        // Its thread waits in `accept` until the process ends; nobody can come by any more.
        let _already_gone = fs::remove_dir_all(&self.folder);
    }
}

/// Percent-decoding, as an address has its host encoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let byte = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn forward(shared: &Arc<Shared>, near: UnixStream, upstream: &std::path::Path) {
    if !shared.pass() {
        return;
    }
    let Ok(far) = UnixStream::connect(upstream) else {
        return;
    };
    let copy = |stream: &UnixStream| stream.try_clone().expect("another handle");
    shared.state().streams.extend([copy(&near), copy(&far)]);
    let (back_from, back_to) = (copy(&far), copy(&near));
    let backwards = shared.clone();
    thread::spawn(move || pump(&backwards, back_from, back_to, |_| {}));
    pump(shared, near, far, |read| {
        shared.sent.fetch_add(read as u64, Ordering::SeqCst);
    });
}

/// Hands on in one direction. What was read is counted before it is handed on, so that whoever has an answer finds what
/// it took counted.
fn pump(shared: &Shared, mut from: UnixStream, mut to: UnixStream, count: impl Fn(usize)) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let sent = buffer.get(..read).unwrap_or_default();
        count(read);
        if !shared.pass() || to.write_all(sent).is_err() {
            break;
        }
    }
    // What ends on the one side ends on the other.
    let _ended = from.shutdown(Shutdown::Both);
    let _ended = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy before something that sends back what it gets, and a folder that is removed with it.
    fn before_an_echo() -> (SocketProxy, PathBuf) {
        let folder = std::env::temp_dir().join(format!(
            "grantor-echo-{}-{:?}",
            std::process::id(),
            thread::current().id()
        ));
        fs::create_dir_all(&folder).unwrap();
        let listener = UnixListener::bind(folder.join(SOCKET)).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut back = stream.try_clone().unwrap();
                    std::io::copy(&mut &stream, &mut back)
                });
            }
        });
        let encoded = folder
            .to_string_lossy()
            .replace('/', "%2F")
            .replace('(', "%28");
        let proxy = SocketProxy::start(&format!("postgresql:///db?host={encoded}&port=5432"));
        (proxy, folder)
    }

    fn connect(proxy: &SocketProxy) -> UnixStream {
        let stream = UnixStream::connect(proxy.folder.join(SOCKET)).unwrap();
        let limit = std::time::Duration::from_secs(30);
        stream.set_read_timeout(Some(limit)).unwrap();
        stream
    }

    fn echo(stream: &mut UnixStream) -> std::io::Result<[u8; 4]> {
        stream.write_all(b"ping")?;
        let mut back = [0; 4];
        stream.read_exact(&mut back)?;
        Ok(back)
    }

    #[test]
    fn it_hands_on_holds_back_and_hands_on_again() {
        let (proxy, folder) = before_an_echo();
        assert!(proxy.url().contains("grantor-proxy-") && proxy.url().ends_with("&port=5432"));
        let mut stream = connect(&proxy);
        assert_eq!(&echo(&mut stream).unwrap(), b"ping");
        assert_eq!(proxy.sent(), 4);
        proxy.freeze();
        let waiting = thread::spawn(move || echo(&mut stream).unwrap());
        while proxy.holding() == 0 {
            thread::yield_now();
        }
        assert!(!waiting.is_finished());
        proxy.heal();
        assert_eq!(&waiting.join().unwrap(), b"ping");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_cut_ends_what_there_is_and_refuses_what_comes() {
        let (proxy, folder) = before_an_echo();
        let mut stream = connect(&proxy);
        echo(&mut stream).unwrap();
        proxy.cut();
        assert!(echo(&mut stream).is_err());
        assert!(echo(&mut connect(&proxy)).is_err());
        proxy.heal();
        assert_eq!(&echo(&mut connect(&proxy)).unwrap(), b"ping");
        fs::remove_dir_all(folder).unwrap();
    }
}
