//! Stands between a client and a server that speak TCP, and can be cut or frozen.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use crate::proxy::Gate;

/// The proxy. It listens on a free port of 127.0.0.1; what goes through it ends with the value.
pub struct TcpProxy {
    address: SocketAddr,
    gate: Arc<Gate<TcpStream>>,
}

impl TcpProxy {
    /// Listens for whoever wants to reach this address, such as `127.0.0.1:8081`.
    ///
    /// # Panics
    /// When it can't listen.
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let upstream = upstream.to_owned();
        let gate = Gate::open();
        let incoming = std::iter::from_fn(move || Some(without_delay(listener.accept())));
        gate.serve(incoming, move || {
            let stream = TcpStream::connect(&upstream)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        Self { address, gate }
    }

    /// Where it listens, such as `127.0.0.1:40123`.
    pub fn address(&self) -> String {
        self.address.to_string()
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

    /// How many connections are held back: somebody has asked there, and has no answer.
    pub fn holding(&self) -> usize {
        self.gate.holding()
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        // Its thread waits in `accept` until the process ends; whoever comes by is turned away.
        self.gate.cut();
    }
}

fn without_delay(accepted: std::io::Result<(TcpStream, SocketAddr)>) -> std::io::Result<TcpStream> {
    let (stream, _) = accepted?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _, Write as _};
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A proxy before something that sends back what it gets.
    fn before_an_echo() -> TcpProxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut back = stream.try_clone().unwrap();
                    io::copy(&mut &stream, &mut back)
                });
            }
        });
        TcpProxy::start(&address)
    }

    fn connect(proxy: &TcpProxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
    }

    fn echo(stream: &mut TcpStream) -> io::Result<[u8; 4]> {
        stream.write_all(b"ping")?;
        let mut back = [0; 4];
        stream.read_exact(&mut back)?;
        Ok(back)
    }

    #[test]
    fn it_hands_on_holds_back_and_hands_on_again() {
        let proxy = before_an_echo();
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
    }

    #[test]
    fn a_cut_ends_what_there_is_and_refuses_what_comes() {
        let proxy = before_an_echo();
        let mut stream = connect(&proxy);
        echo(&mut stream).unwrap();
        proxy.cut();
        assert!(echo(&mut stream).is_err());
        assert!(echo(&mut connect(&proxy)).is_err());
        proxy.heal();
        assert_eq!(&echo(&mut connect(&proxy)).unwrap(), b"ping");
    }
}
