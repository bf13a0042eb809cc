//! `grantor`: everything in one process for those who begin (`dev`), and the steps that an installation
//! is set up and kept by.

mod bootstrap;
mod dev;
mod failure;
mod keys;
mod migrate;
mod openapi;
mod owner;
mod restore_fence;
mod retention;
mod terminal;

use clap::{Parser, Subcommand};

/// Manage OAuth clients and connected apps, and the tokens that they get.
///
/// Without a command: `dev`.
#[derive(Debug, Parser)]
#[command(name = "grantor", version, args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::DevArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything in one process, with a private PostgreSQL unless GRANTOR_DATABASE_URL names another.
    Dev(Box<dev::DevArgs>),
    /// Bring the database's schema to where this program needs it.
    Migrate(migrate::MigrateArgs),
    /// Make the platform tenant and its operator client, once.
    Bootstrap(Box<bootstrap::BootstrapArgs>),
    /// Write or check the OpenAPI documents.
    Openapi(openapi::OpenapiArgs),
    /// Tell or set for how long the change feed and the log of record are kept.
    Retention(retention::RetentionArgs),
    /// After a restore from a backup: let no token that was issued before be good.
    RestoreFence(Box<restore_fence::RestoreFenceArgs>),
    /// Make a master key; list and rotate signing keys; seal them anew.
    Keys(Box<keys::KeysArgs>),
}

#[actix_web::main]
async fn main() {
    let Options { command, dev } = Options::parse();
    let done = match command {
        None => dev::run(dev).await,
        Some(Command::Dev(args)) => dev::run(*args).await,
        Some(Command::Migrate(args)) => migrate::run(&args),
        Some(Command::Bootstrap(args)) => bootstrap::run(*args).await,
        Some(Command::Openapi(args)) => openapi::run(&args),
        Some(Command::Retention(args)) => retention::run(&args),
        Some(Command::RestoreFence(args)) => restore_fence::run(*args).await,
        Some(Command::Keys(args)) => keys::run(*args).await,
    };
    let code = match done {
        Ok(()) => 0,
        Err(failure) => {
            terminal::complain(&failure.to_string());
            1
        }
    };
    // Outright: a call on a PostgreSQL that hangs holds its thread, and leaving in good order would wait for
    // that thread without end. What is to be stopped in order was stopped by the command.
    std::process::exit(code)
}
