//! What a server's process runs: the program of either server as it is shipped, that ends with whoever started it.

use std::io::Read as _;

use clap::{Parser, Subcommand};
use grantor_api_server::serve as api;
use grantor_foundation::program::{self, Own, told_to_stop};
use grantor_server_kit::config::names;
use grantor_server_kit::{ApiArgs, CommonArgs, TokenArgs};

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// The token server
    Token {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        own: TokenArgs,
    },
    /// The management API
    Api {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        own: ApiArgs,
    },
}

/// Serves until it is told to stop, with settings from the environment.
pub async fn main() -> ! {
    let Options { kind } = Options::parse();
    end_with_the_starter();
    match kind {
        Kind::Token { common, own } => token(common, own).await,
        Kind::Api { common, own } => management(common, own).await,
    }
}

async fn token(common: CommonArgs, own: TokenArgs) -> ! {
    let own = own.resolve().map(|own| Own {
        serving: (own.listen, names::TOKEN_LISTEN),
        operations: (own.operations_listen, names::TOKEN_OPERATIONS_LISTEN),
        description: own.describe(),
    });
    program::main(
        "token-server",
        common,
        own,
        |foundation, settings, serving, operations| {
            grantor_token_server::serve::serve(
                &foundation,
                &settings,
                serving,
                operations,
                told_to_stop(),
            )
        },
    )
    .await
}

async fn management(common: CommonArgs, own: ApiArgs) -> ! {
    let resolved = own.resolve();
    let kept = resolved.as_ref().ok().cloned();
    let own = resolved.map(|own| Own {
        serving: (own.listen, names::API_LISTEN),
        operations: (own.operations_listen, names::API_OPERATIONS_LISTEN),
        description: own.describe(),
    });
    program::main(
        "api-server",
        common,
        own,
        move |foundation, settings, serving, operations| {
            let own = kept.map_or(Ok(api::Own::default()), |own| api::Own::of(&own))?;
            api::serve(
                &foundation,
                &settings,
                own,
                serving,
                operations,
                told_to_stop(),
            )
        },
    )
    .await
}

/// The other end of the standard input closes with the process that holds it, however that one ends.
fn end_with_the_starter() {
    std::thread::spawn(|| {
        let mut nothing = [0];
        while matches!(std::io::stdin().read(&mut nothing), Ok(1)) {}
        std::process::exit(0)
    });
}
