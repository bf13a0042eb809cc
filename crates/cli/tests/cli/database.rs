//! A database that is not the program's own, as in production.

use std::process::Command;

use grantor_local_postgres::{LocalPostgres, Options, superuser};
use grantor_storage::migrate;

use crate::place::Place;
use crate::program::{dev, grantor, succeed};

const OWNER: &str = "grantor_owner";
const SERVER: &str = "grantor_server";
/// The word that no output may show.
pub(crate) const PASSWORD: &str = "hunter2";

/// A server with an empty database and the role that is to own its schema.
pub(crate) struct Database {
    postgres: LocalPostgres,
}

impl Database {
    pub(crate) fn new(place: &Place) -> Self {
        let mut options = Options::new(place.folder().join("database"));
        options.durable = false;
        let postgres = LocalPostgres::start(&options).unwrap();
        migrate::prepare(
            &postgres.url(superuser(), "postgres"),
            OWNER,
            "installation",
        )
        .unwrap();
        Self { postgres }
    }

    /// A database that is migrated, and admits servers.
    pub(crate) fn migrated(place: &Place) -> Self {
        let database = Self::new(place);
        succeed(&mut database.command(&["migrate"]));
        database
    }

    fn url(&self, role: &str) -> String {
        let url = self.postgres.url(role, "installation");
        // Nobody asks for it on this socket, so it can be any; what matters is where it goes.
        format!("{url}&password={PASSWORD}")
    }

    pub(crate) fn owner_url(&self) -> String {
        self.url(OWNER)
    }

    pub(crate) fn server_url(&self) -> String {
        self.url(SERVER)
    }

    pub(crate) fn superuser_url(&self) -> String {
        self.url(superuser())
    }

    /// Lets a command work on this database.
    pub(crate) fn serve<'c>(&self, command: &'c mut Command, master_key: &str) -> &'c mut Command {
        command
            .env("GRANTOR_OWNER_DATABASE_URL", self.owner_url())
            .env("GRANTOR_DATABASE_URL", self.server_url())
            .env("GRANTOR_MASTER_KEY", master_key)
    }

    /// A command without a master key on this database.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = grantor(arguments);
        self.serve(&mut command, "");
        command
    }

    /// A command with a master key on this database.
    pub(crate) fn command_with(&self, master_key: &str, arguments: &[&str]) -> Command {
        let mut command = grantor(arguments);
        self.serve(&mut command, master_key);
        command
    }

    /// `grantor dev` on this database.
    pub(crate) fn dev(&self, place: &Place, master_key: &str) -> Command {
        let mut command = dev(place);
        self.serve(&mut command, master_key);
        command
    }
}

/// A master key as the program makes them.
pub(crate) fn new_master_key() -> String {
    let key = succeed(&mut grantor(&["keys", "new-master-key"]));
    key.trim_end_matches('\n').to_owned()
}
