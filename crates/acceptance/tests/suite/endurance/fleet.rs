//! Two token servers and one API server, each a process, over one database; the second token server reaches it by
//! a proxy.

use std::path::PathBuf;

use grantor_acceptance::{Credentials, Installation, Launch, Premises, ServerKind, ServerProcess};
use grantor_test_support::SocketProxy;
use serde_json::Value;

/// What whoever asks must know: where everything is, and who may what. Cheap enough to copy for each thread.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// Where the two token servers are.
    pub(super) tokens: [String; 2],
    /// Where the management API is.
    pub(super) api: String,
    pub(super) tenant: String,
    /// Who may introspect.
    pub(super) checker: Credentials,
    /// The authorization of the tenant's administrator.
    pub(super) admin: String,
}

/// The processes. They end with the value.
pub(super) struct Fleet {
    pub(super) near: ServerProcess,
    pub(super) far: ServerProcess,
    pub(super) ground: Ground,
    /// Between the far token server and PostgreSQL.
    pub(super) proxy: SocketProxy,
    _api: ServerProcess,
}

/// How the servers are set up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    /// How long a request may take, in seconds.
    pub(super) deadline: u32,
    /// How many connections to the database each server has.
    pub(super) pool: u32,
}

impl Setup {
    /// All the time that a busy machine may need.
    pub(super) const PATIENT: Self = Self {
        deadline: 20,
        pool: 4,
    };
    /// For outages, which are over when the deadline is.
    pub(super) const SHORT: Self = Self {
        deadline: 2,
        pool: 4,
    };
}

fn launch(kind: ServerKind, url: &str, installation: &Installation, setup: Setup) -> Launch {
    Launch {
        program: PathBuf::from(env!("CARGO_BIN_EXE_server-process")),
        kind,
        database_url: url.to_owned(),
        issuer_base: installation.issuer_base.clone(),
        environment: vec![
            ("GRANTOR_DEADLINE_SECONDS", setup.deadline.to_string()),
            ("GRANTOR_POOL_SIZE", setup.pool.to_string()),
            // Whoever floods says that they are somewhere else.
            ("GRANTOR_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
            // The load comes from one address.
            ("GRANTOR_API_RATE_PER_ADDRESS", "off".to_owned()),
            ("GRANTOR_API_RATE_PER_CALLER", "off".to_owned()),
        ],
    }
}

impl Fleet {
    /// Makes an installation in a migrated database, and starts everything.
    pub(super) fn start(url: &str, setup: Setup) -> Self {
        let installation = Installation::make(url);
        let proxy = SocketProxy::start(url);
        let near = ServerProcess::start(launch(ServerKind::Token, url, &installation, setup));
        let far = ServerProcess::start(launch(
            ServerKind::Token,
            &proxy.url(),
            &installation,
            setup,
        ));
        let api = ServerProcess::start(launch(ServerKind::Api, url, &installation, setup));

        let premises = Premises::make(&installation, &near.address(), &api.address());
        let checker = premises.add_client("Checker", &[], &Value::Null);
        for (key, format) in [("signed.api", "jwt"), ("opaque.api", "opaque")] {
            premises.add_resource_server(key, format, &[&checker.client_id]);
        }
        let ground = Ground {
            tokens: [near.address(), far.address()],
            api: api.address(),
            tenant: premises.tenant,
            admin: premises.admin,
            checker,
        };
        Self {
            near,
            far,
            ground,
            proxy,
            _api: api,
        }
    }
}
