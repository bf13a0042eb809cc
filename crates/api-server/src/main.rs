//! The management API's server.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use grantor_foundation::Foundation;
use grantor_keys::SystemEntropy;
use grantor_server_kit::config::{self, names};
use grantor_server_kit::{ApiArgs, CommonArgs, SystemClock, bind, logging, shutdown_signal};

/// Serves the management API.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    own: ApiArgs,
}

#[actix_web::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the log may not be there yet, and a person waits at the terminal"
)]
fn report(error: &str) {
    eprintln!("api-server: {error}");
}

#[expect(clippy::print_stdout, reason = "what --print-config was asked for")]
fn print(text: &str) {
    println!("{text}");
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let (common, own) = config::all(options.common.resolve(true), options.own.resolve())?;
    if options.common.print_config {
        print(&config::render(
            &[common.describe(), own.describe()].concat(),
        ));
        return Ok(());
    }
    logging::init(&common.log_filter, common.log_format)?;
    let listener = bind(own.listen, names::API_LISTEN.option, names::API_LISTEN.env)?;
    let operations = bind(
        own.operations_listen,
        names::API_OPERATIONS_LISTEN.option,
        names::API_OPERATIONS_LISTEN.env,
    )?;
    let foundation = Foundation::open(
        &common,
        Arc::new(SystemClock),
        Arc::new(SystemEntropy::default()),
    )
    .await?;
    log::info!("api-server listens on http://{}", own.listen);
    let keeper = foundation.clone();
    let stop = async {
        let signal = shutdown_signal().await;
        log::info!("{signal} received");
    };
    let serving =
        grantor_api_server::serve::serve(&foundation, &common, listener, operations, stop)?;
    tokio::select! {
        served = serving => served?,
        () = keeper.keep_partitions(std::future::pending()) => {}
    }
    Ok(())
}
