//! Real servers on free ports, in threads of their own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use grantor_api_server::outbox::Mailing;
use grantor_api_server::serve::Own;
use grantor_foundation::Foundation;
use grantor_keys::Entropy;
use grantor_mail::{Folder, Mailbox, Sender};
use grantor_server_kit::{Clock, CommonArgs, CommonSettings, Rate, SecretText};
use grantor_test_support::master_key;
use tokio::sync::watch;

/// What may differ from test to test.
#[derive(Debug, Clone, Default)]
pub struct ServerSettings {
    /// How long a handler may take, in seconds; 20 unless told otherwise, for tests share two cores.
    pub deadline_seconds: Option<u32>,
    /// How long requests may take after a stop has begun, in seconds; 1 unless told otherwise.
    pub drain_seconds: Option<u32>,
    /// How many connections to the database; 4 unless told otherwise.
    pub pool_size: Option<u32>,
    /// The issuer base; the token server's own address unless told otherwise.
    pub issuer_base: Option<String>,
    /// The proxies that are trusted.
    pub trusted_proxies: Option<String>,
    /// What one address may ask the management API for; anything unless told otherwise.
    pub rate_per_address: Option<String>,
    /// What one credential may ask it for; anything unless told otherwise.
    pub rate_per_caller: Option<String>,
    /// The master key; that of tests unless told otherwise.
    pub master_key: Option<String>,
    /// The master keys before it.
    pub previous_master_keys: Option<String>,
    /// For how many seconds verifiers may keep published keys; 300 unless told otherwise.
    pub jwks_max_age: Option<u32>,
    /// Where mails are put; without, they wait.
    pub mail_folder: Option<PathBuf>,
}

/// One management API server and one token server over one database.
pub struct Replica {
    /// Where the management API is.
    pub api: String,
    /// Where its operations port is.
    pub api_operations: String,
    /// Where the token server is.
    pub token: String,
    /// Where its operations port is.
    pub token_operations: String,
    /// What both run with.
    pub settings: CommonSettings,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

fn free_port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, address)
}

impl Replica {
    /// Starts both servers, and returns when they listen.
    ///
    /// # Panics
    /// When they don't start.
    pub fn start(
        database_url: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        given: &ServerSettings,
    ) -> Self {
        let (api_listener, api) = free_port();
        let (api_operations_listener, api_operations) = free_port();
        let (token_listener, token) = free_port();
        let (token_operations_listener, token_operations) = free_port();
        let text = |number: u32| Some(number.to_string());
        let args = CommonArgs {
            database_url: Some(database_url.to_owned()),
            master_key: Some(
                given
                    .master_key
                    .clone()
                    .unwrap_or_else(|| master_key().encode().to_string()),
            ),
            previous_master_keys: given.previous_master_keys.clone(),
            issuer_base: Some(given.issuer_base.clone().unwrap_or_else(|| token.clone())),
            api_base: Some(api.clone()),
            trusted_proxies: given.trusted_proxies.clone(),
            deadline_seconds: text(given.deadline_seconds.unwrap_or(20)),
            pool_size: text(given.pool_size.unwrap_or(4)),
            workers: text(1),
            drain_seconds: text(given.drain_seconds.unwrap_or(1)),
            jwks_max_age: text(given.jwks_max_age.unwrap_or(300)),
            ..CommonArgs::default()
        };
        let settings = args.resolve(true).expect("settings");
        let rate = |text: &Option<String>| {
            let text = text.as_deref()?;
            Some(text.parse::<Rate>().expect("a rate"))
        };
        let own = Own {
            per_address: rate(&given.rate_per_address),
            per_caller: rate(&given.rate_per_caller),
            mailing: given.mail_folder.as_ref().map(|folder| Mailing {
                sender: Sender::Folder(Folder::open(folder).expect("a folder")),
                from: Mailbox::parse("Grantor <grantor@example.com>").expect("a sender"),
            }),
        };
        debug_assert_eq!(
            settings.database_url.as_ref().map(SecretText::expose),
            Some(database_url)
        );
        let (stop, stopped) = watch::channel(false);
        let (started, has_started) = mpsc::channel();
        let for_thread = settings.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let settings = for_thread;
                let foundation = match Foundation::open(&settings, clock, entropy).await {
                    Ok(foundation) => foundation,
                    Err(error) => {
                        let _ = started.send(Err(error.to_string()));
                        return;
                    }
                };
                let wait = |mut stopped: watch::Receiver<bool>| async move {
                    let _ = stopped.wait_for(|stop| *stop).await;
                };
                let api_server = grantor_api_server::serve::serve(
                    &foundation,
                    &settings,
                    own,
                    api_listener,
                    api_operations_listener,
                    wait(stopped.clone()),
                )
                .expect("the API's server");
                let token_server = grantor_token_server::serve::serve(
                    &foundation,
                    &settings,
                    token_listener,
                    token_operations_listener,
                    wait(stopped),
                )
                .expect("the token server");
                let _ = started.send(Ok(()));
                let (api_server, token_server) = tokio::join!(api_server, token_server);
                api_server.expect("the API's server to end well");
                token_server.expect("the token server to end well");
            });
        });
        has_started
            .recv_timeout(Duration::from_secs(60))
            .expect("the servers to start")
            .unwrap_or_else(|error| panic!("the servers did not start: {error}"));
        Self {
            api,
            api_operations,
            token,
            token_operations,
            settings,
            stop,
            thread: Some(thread),
        }
    }

    /// Lets both servers drain and end.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "a server panicked"
            );
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop();
    }
}
