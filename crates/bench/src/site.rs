//! What is measured: a token server over a PostgreSQL of its own, and the bare endpoints beside it.

use std::env;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use grantor_acceptance::{Credentials, Installation, Launch, Premises, ServerKind, ServerProcess};
use grantor_test_support::TestDatabase;
use serde_json::json;

use crate::floor;

/// The formats of tokens, by which their resource servers are called too.
pub(crate) const FORMATS: [&str; 2] = ["opaque", "signed"];

/// The highest limits that a client can have. What is measured is how fast tokens come, and not where they are held.
const TOKENS_PER_MINUTE: u32 = 6_000_000;
const LIVE_TOKENS: u32 = 1_000_000;

/// A bare endpoint for one format.
struct Floor {
    child: Child,
    address: String,
}

impl Floor {
    fn start(format: &str) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let mut command = Command::new(env::current_exe().expect("this program"));
        let port = address.port().to_string();
        let child = command.args([floor::NAME, &port, format]).spawn();
        let floor = Self {
            child: child.expect("the bare endpoint"),
            address: address.to_string(),
        };
        while TcpStream::connect(address).is_err() {
            thread::park_timeout(Duration::from_millis(10));
        }
        floor
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Everything that is asked. It ends with the value; the database last.
pub(crate) struct Site {
    token: ServerProcess,
    floors: Vec<(&'static str, Floor)>,
    tenant: String,
    clients: Vec<Credentials>,
    _database: TestDatabase,
}

impl Site {
    /// Makes a tenant with so many clients.
    pub(crate) fn make(clients: usize) -> Self {
        let database = TestDatabase::new();
        let installation = Installation::make(&database.url());
        let start = |kind| {
            ServerProcess::start(Launch {
                program: env::current_exe().expect("this program"),
                kind,
                database_url: installation.database_url.clone(),
                issuer_base: installation.issuer_base.clone(),
                environment: vec![
                    ("GRANTOR_API_RATE_PER_ADDRESS", "off".to_owned()),
                    ("GRANTOR_API_RATE_PER_CALLER", "off".to_owned()),
                ],
            })
        };
        let (token, api) = (start(ServerKind::Token), start(ServerKind::Api));
        let premises = Premises::make(&installation, &token.address(), &api.address());
        premises.set_quotas(&json!({ "client_tokens_per_minute": TOKENS_PER_MINUTE,
            "client_max_live_tokens": LIVE_TOKENS }));
        for format in FORMATS {
            let kind = if format == "signed" { "jwt" } else { "opaque" };
            premises.add_resource_server(&format!("{format}.api"), kind, &[]);
        }
        let scopes = FORMATS.map(|format| format!("{format}.api:read"));
        let scopes = scopes.each_ref().map(String::as_str);
        let limits =
            json!({ "tokens_per_minute": TOKENS_PER_MINUTE, "max_live_tokens": LIVE_TOKENS });
        let clients = (0..clients)
            .map(|number| premises.add_client(&format!("Client {number}"), &scopes, &limits))
            .collect();
        let floors = FORMATS.map(|format| (format, Floor::start(format)));
        Self {
            token,
            floors: floors.into(),
            tenant: premises.tenant,
            clients,
            _database: database,
        }
    }

    /// Where the token server is.
    pub(crate) fn tokens(&self) -> String {
        self.token
            .address()
            .trim_start_matches("http://")
            .to_owned()
    }

    /// Where the bare endpoint is that makes tokens of this format.
    pub(crate) fn floor(&self, format: &str) -> String {
        let mut all = self.floors.iter();
        let floor = all.find(|(of, _)| *of == format);
        floor.map(|(_, floor)| floor.address.clone()).expect("one")
    }

    /// A request of each client for a token of this format.
    pub(crate) fn requests(&self, format: &str) -> Vec<Vec<u8>> {
        let form = format!("grant_type=client_credentials&scope={format}.api%3Aread");
        let request = |by: &Credentials| {
            format!(
                "POST /t/{}/token HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                self.tenant,
                by.basic(),
                form.len()
            )
            .into_bytes()
        };
        self.clients.iter().map(request).collect()
    }
}
