//! One PostgreSQL for all tests of a test binary.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use grantor_local_postgres::{Error, LocalPostgres, Options, superuser};
use grantor_storage::migrate;

/// The role that owns the schema.
const OWNER: &str = "grantor_owner";
/// The role that servers log in as.
const SERVER: &str = "grantor_server";

/// A running PostgreSQL with the roles that Grantor needs.
pub struct TestServer {
    postgres: LocalPostgres,
}

/// The server that all tests of this binary share. It ends with the process: its guardian sees to that.
pub fn shared() -> &'static TestServer {
    static SHARED: OnceLock<TestServer> = OnceLock::new();
    SHARED.get_or_init(|| {
        let program = std::env::current_exe().expect("this program's path");
        let name = program
            .file_name()
            .expect("a file name")
            .to_string_lossy()
            .into_owned();
        // Kept between runs, so that only the first pays for making it. Where another run of the same
        // program is under way, the next place is taken.
        let places = std::env::temp_dir().join(format!("grantor-tests-{}", rustix_uid()));
        (0..16)
            .find_map(|number| TestServer::start(places.join(format!("{name}-{number}"))))
            .expect("a folder for PostgreSQL that is free")
    })
}

/// Whose tests these are: folders of several users must not meet.
fn rustix_uid() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self")
        .or_else(|_| fs::metadata(std::env::temp_dir()))
        .expect("a folder")
        .uid()
}

impl TestServer {
    /// Starts a server of one's own in a folder; nothing when another process holds it.
    pub fn start(folder: PathBuf) -> Option<Self> {
        // The unprivileged user that PostgreSQL runs as must be able to come by.
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&folder)
            .expect("a folder");
        let mut options = Options::new(folder);
        options.durable = false;
        options.settings = vec![
            ("max_connections".to_owned(), "300".to_owned()),
            // After kill -9 of the server alone what was acknowledged must still be there.
            ("synchronous_commit".to_owned(), "on".to_owned()),
        ];
        match LocalPostgres::start(&options) {
            Ok(postgres) => Some(Self { postgres }),
            Err(Error::InUse { .. }) => None,
            Err(error) => panic!("PostgreSQL did not start: {error}"),
        }
    }

    /// Makes an empty database, in place of one with the same name, and the role that owns it.
    pub fn create_database(&self, name: &str) {
        self.admin(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        migrate::prepare(&self.superuser_url("postgres"), OWNER, name).expect("a new database");
    }

    /// Copies a database that nobody is connected to.
    pub fn copy_database(&self, template: &str, name: &str) {
        // Copying files is the faster strategy for small templates; before version 15 it is the only one.
        let strategy = if self.postgres.version().starts_with("14") {
            ""
        } else {
            "STRATEGY FILE_COPY"
        };
        self.admin(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        self.admin(&format!(
            "CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} {strategy}"
        ));
    }

    /// Removes a database and whoever is connected to it.
    pub fn drop_database(&self, name: &str) {
        self.admin(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }

    fn admin(&self, sql: &str) {
        use diesel::Connection as _;
        use diesel::connection::SimpleConnection as _;
        let mut connection =
            diesel::PgConnection::establish(&self.superuser_url("postgres")).expect("a connection");
        connection
            .batch_execute(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// A database's address as its owner.
    pub fn owner_url(&self, database: &str) -> String {
        self.postgres.url(OWNER, database)
    }

    /// A database's address as servers log in.
    pub fn server_url(&self, database: &str) -> String {
        self.postgres.url(SERVER, database)
    }

    /// A database's address as somebody whom row-level security does not hold.
    pub fn superuser_url(&self, database: &str) -> String {
        self.postgres.url(superuser(), database)
    }

    /// Lets servers log in to the databases of this server.
    pub fn admit_server_role(&self, database: &str) {
        migrate::admit_server_role(&self.owner_url(database), SERVER, None)
            .expect("the servers' role");
    }

    /// The process at the head of the server.
    pub fn postmaster_pid(&self) -> u32 {
        self.postgres.postmaster_pid()
    }

    /// Stops the server.
    pub fn stop(self) {
        self.postgres.stop().expect("a clean stop");
    }
}
