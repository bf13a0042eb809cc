//! What the programs of both servers have in common: settings resolved or printed, ports taken, the
//! foundation opened, the server run until a signal comes.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use grantor_keys::SystemEntropy;
use grantor_server_kit::config::{self, Name};
use grantor_server_kit::{
    CommonArgs, CommonSettings, Mistakes, SystemClock, bind, logging, shutdown_signal,
};

use crate::{Foundation, OpenError};

/// Where a server listens: the address, and the option that names it.
pub type Listen = (SocketAddr, Name);

/// What is a server's own.
pub struct Own {
    /// Where it serves.
    pub serving: Listen,
    /// Where it answers operators.
    pub operations: Listen,
    /// Its own settings, for `--print-config`.
    pub description: Vec<(&'static str, String)>,
}

/// Runs one server to its end, tells on the terminal when it could not, and ends the process.
///
/// The process is ended outright: a call on a PostgreSQL that hangs holds its thread, and leaving in good
/// order would wait for that thread without end. What was served is drained by then.
pub async fn main<S, F>(
    program: &'static str,
    common: CommonArgs,
    own: Result<Own, Mistakes>,
    serve: S,
) -> !
where
    S: FnOnce(Foundation, CommonSettings, TcpListener, TcpListener) -> Result<F, OpenError>,
    F: Future<Output = io::Result<()>>,
{
    let code = match run(program, &common, own, serve).await {
        Ok(()) => 0,
        Err(error) => {
            complain(program, &error.to_string());
            1
        }
    };
    std::process::exit(code)
}

#[expect(
    clippy::print_stderr,
    reason = "the log may not be there yet, and a person waits at the terminal"
)]
fn complain(program: &str, error: &str) {
    eprintln!("{program}: {error}");
}

#[expect(clippy::print_stdout, reason = "what --print-config was asked for")]
fn print(text: &str) {
    println!("{text}");
}

async fn run<S, F>(
    program: &'static str,
    common: &CommonArgs,
    own: Result<Own, Mistakes>,
    serve: S,
) -> Result<(), Box<dyn Error>>
where
    S: FnOnce(Foundation, CommonSettings, TcpListener, TcpListener) -> Result<F, OpenError>,
    F: Future<Output = io::Result<()>>,
{
    let (settings, own) = config::all(common.resolve(true), own)?;
    if common.print_config {
        print(&config::render(
            &[settings.describe(), own.description].concat(),
        ));
        return Ok(());
    }
    logging::init(&settings.log_filter, settings.log_format)?;
    let listen = |(address, name): Listen| bind(address, name.option, name.env);
    let (serving, operations) = (listen(own.serving)?, listen(own.operations)?);
    let entropy = Arc::new(SystemEntropy::default());
    let foundation = Foundation::open(&settings, Arc::new(SystemClock), entropy).await?;
    log::info!("{program} listens on http://{}", own.serving.0);
    let keeper = foundation.clone();
    let served = serve(foundation, settings, serving, operations)?;
    tokio::select! {
        served = served => served?,
        () = keeper.keep_partitions(std::future::pending()) => {}
        () = keeper.keep_signing_keys(std::future::pending()) => {}
    }
    Ok(())
}

/// Completes when the program is told to stop, and says by what.
pub async fn told_to_stop() {
    let signal = shutdown_signal().await;
    log::info!("{signal} received");
}
