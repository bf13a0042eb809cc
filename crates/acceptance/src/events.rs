//! A reader of server-sent events, as a browser has one, but that never comes again by itself.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

/// An event, as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SentEvent {
    /// Its `id`.
    pub id: String,
    /// Its `event`.
    pub kind: String,
    /// Its `data`.
    pub data: Value,
}

/// What came next on a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// An event.
    Event(SentEvent),
    /// A place to go on from, without an event.
    Position(String),
    /// A comment.
    Comment(String),
    /// When to come again after the end, in milliseconds.
    Retry(u64),
    /// The stream has ended as it should.
    Ended,
    /// The connection was cut in the middle of the stream.
    Broken,
    /// Nothing, for as long as one was ready to wait.
    Nothing,
}

/// A stream of events that was opened.
pub struct EventStream {
    connection: TcpStream,
    /// What has come and is not taken out of its chunks yet.
    raw: Vec<u8>,
    /// What was sent and is not taken apart yet.
    text: Vec<u8>,
    ending: Option<Heard>,
    /// The headers of the answer, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl EventStream {
    /// Opens a stream, and reads its head.
    ///
    /// # Panics
    /// When the answer is not a stream; the text is its head.
    pub fn open(url: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_open(url, headers).unwrap_or_else(|head| panic!("no stream: {head}"))
    }

    /// Opens a stream, and reads its head; the head alone when the answer is not a stream.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn try_open(url: &str, headers: &[(&str, &str)]) -> Result<Self, String> {
        let mut stream = Self::ask(url, headers);
        stream.read_head().map(|()| stream)
    }

    /// Reads the head of what was asked for; tells the head when the answer is not a stream.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn read_head(&mut self) -> Result<(), String> {
        let head = loop {
            if let Some(end) = find(&self.raw, b"\r\n\r\n") {
                let rest = self.raw.split_off(end + 4);
                let head = std::mem::replace(&mut self.raw, rest);
                break String::from_utf8_lossy(&head).into_owned();
            }
            assert!(self.receive(Duration::from_secs(60)), "no head came");
        };
        self.headers = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let is_chunked = self.header("transfer-encoding") == Some("chunked");
        if is_chunked && head.starts_with("HTTP/1.1 200 ") {
            Ok(())
        } else {
            Err(head)
        }
    }

    /// Asks for a stream and reads nothing of what comes.
    ///
    /// # Panics
    /// When the connection fails.
    pub fn ask(url: &str, headers: &[(&str, &str)]) -> Self {
        let address = url.trim_start_matches("http://");
        let (host, path) = address.split_once('/').expect("a path");
        let mut request =
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n");
        for (name, value) in headers {
            request.push_str(name);
            request.push_str(": ");
            request.push_str(value);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let mut connection = TcpStream::connect(host).expect("a connection");
        connection
            .write_all(request.as_bytes())
            .expect("a request sent");
        Self {
            connection,
            raw: Vec::new(),
            text: Vec::new(),
            ending: None,
            headers: Vec::new(),
        }
    }

    /// One header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// What comes next, waiting so long at most.
    ///
    /// # Panics
    /// When what comes is no stream of events.
    pub fn next(&mut self, patience: Duration) -> Heard {
        let until = Instant::now() + patience;
        loop {
            self.unwrap_chunks();
            if let Some(end) = find(&self.text, b"\n\n") {
                let rest = self.text.split_off(end + 2);
                let block = std::mem::replace(&mut self.text, rest);
                return told(&String::from_utf8_lossy(&block));
            }
            if let Some(ending) = &self.ending {
                return ending.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            self.receive(left);
        }
    }

    /// The next event, whatever else comes before it.
    ///
    /// # Panics
    /// When none comes within a minute.
    #[track_caller]
    pub fn event(&mut self) -> SentEvent {
        loop {
            match self.next(Duration::from_secs(60)) {
                Heard::Event(event) => return event,
                Heard::Position(_) | Heard::Comment(_) | Heard::Retry(_) => {}
                other => panic!("no event: {other:?}"),
            }
        }
    }

    /// All events until the end, and how it ended.
    ///
    /// # Panics
    /// When it says nothing for a minute.
    #[track_caller]
    pub fn rest(&mut self) -> (Vec<SentEvent>, Heard) {
        let mut events = Vec::new();
        loop {
            match self.next(Duration::from_secs(60)) {
                Heard::Event(event) => events.push(event),
                Heard::Position(_) | Heard::Comment(_) | Heard::Retry(_) => {}
                Heard::Nothing => panic!("it does not end, after {} events", events.len()),
                ending => return (events, ending),
            }
        }
    }

    /// Receives some more; false when nothing came in time or the other side has closed.
    fn receive(&mut self, patience: Duration) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        self.connection
            .set_read_timeout(Some(patience.max(Duration::from_millis(1))))
            .expect("a timeout");
        match self.connection.read(&mut buffer) {
            Ok(0) => {}
            Ok(read) => {
                self.raw
                    .extend_from_slice(buffer.get(..read).unwrap_or_default());
                return true;
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                return false;
            }
            Err(_) => {}
        }
        self.ending.get_or_insert(Heard::Broken);
        false
    }

    /// RFC 9112 §7.1: a chunk is its size in hexadecimal digits, its bytes, and a line's end; the last is empty.
    fn unwrap_chunks(&mut self) {
        while let Some(line) = find(&self.raw, b"\r\n") {
            let digits = String::from_utf8_lossy(self.raw.get(..line).unwrap_or_default());
            let size = usize::from_str_radix(&digits, 16).expect("the size of a chunk");
            let begin = line + 2;
            if self.raw.len() < begin + size + 2 {
                return;
            }
            let rest = self.raw.split_off(begin + size + 2);
            let chunk = std::mem::replace(&mut self.raw, rest);
            self.text
                .extend_from_slice(chunk.get(begin..begin + size).unwrap_or_default());
            if size == 0 {
                self.ending = Some(Heard::Ended);
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Takes one block of lines apart.
fn told(block: &str) -> Heard {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    if let Some(data) = field("data") {
        return Heard::Event(SentEvent {
            id: field("id").expect("an event with an id"),
            kind: field("event").expect("an event with a kind"),
            data: serde_json::from_str(&data).expect("JSON"),
        });
    }
    if let Some(id) = field("id") {
        return Heard::Position(id);
    }
    if let Some(millis) = field("retry") {
        return Heard::Retry(millis.parse().expect("a number"));
    }
    let comment = block.trim_end().strip_prefix(':');
    Heard::Comment(comment.expect("a comment").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A stream that is sent these bytes, one by one, and then closed.
    fn sent(bytes: &'static str) -> EventStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/feed", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            // The request is read first: what was not read would reset the connection.
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                connection.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            connection.set_nodelay(true).unwrap();
            for byte in bytes.as_bytes() {
                connection.write_all(&[*byte]).unwrap();
            }
        });
        EventStream::open(&url, &[])
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    #[test]
    fn it_takes_events_out_of_chunks_wherever_these_begin() {
        let bytes = concat!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "d\r\nretry: 7\n\nid:\r\n1b\r\n a\nevent: k\ndata: {\"n\":1}\n\n\r\n",
            "f\r\n: here\n\nid: b\n\n\r\n0\r\n\r\n"
        );
        let mut stream = sent(bytes);
        let next = |stream: &mut EventStream| stream.next(Duration::from_secs(30));
        assert_eq!(next(&mut stream), Heard::Retry(7));
        let event = SentEvent {
            id: "a".to_owned(),
            kind: "k".to_owned(),
            data: serde_json::json!({ "n": 1 }),
        };
        assert_eq!(next(&mut stream), Heard::Event(event));
        assert_eq!(next(&mut stream), Heard::Comment("here".to_owned()));
        assert_eq!(next(&mut stream), Heard::Position("b".to_owned()));
        assert_eq!(next(&mut stream), Heard::Ended);
        assert_eq!(next(&mut stream), Heard::Ended);
    }

    #[test]
    fn it_tells_a_cut_from_an_end() {
        assert_eq!(sent(HEAD).next(Duration::from_secs(30)), Heard::Broken);
    }
}
