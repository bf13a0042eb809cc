//! Stands between a server and its PostgreSQL, and can be cut or frozen: an outage for one replica alone.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::proxy::Gate;

/// What PostgreSQL's socket is called in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// The proxy. It listens on a unix socket of its own, and ends with the value.
pub struct SocketProxy {
    folder: PathBuf,
    url: String,
    gate: Arc<Gate<UnixStream>>,
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
        let gate = Gate::open();
        let incoming = std::iter::from_fn(move || Some(listener.accept().map(|(near, _)| near)));
        gate.serve(incoming, move || UnixStream::connect(&upstream));
        Self { folder, url, gate }
    }

    /// The database's address by way of the proxy.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Ends every connection and takes no more.
    pub fn cut(&self) {
        self.gate.cut();
    }

    /// Hands nothing on any more, in neither direction, and ends nothing.
    pub fn freeze(&self) {
        self.gate.freeze();
    }

    /// Hands on again, what was held back first.
    pub fn heal(&self) {
        self.gate.heal();
    }

    /// How many bytes PostgreSQL was sent so far, over all connections.
    pub fn sent(&self) -> u64 {
        self.gate.sent()
    }

    /// How many connections are held back: somebody has asked there, and has no answer.
    pub fn holding(&self) -> usize {
        self.gate.holding()
    }
}

impl Drop for SocketProxy {
    fn drop(&mut self) {
        self.gate.cut();
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::thread;

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
