//! The server as a program: its settings resolved, served until it is told to stop.

use grantor_foundation::program::{self, Own, told_to_stop};
use grantor_server_kit::config::names;
use grantor_server_kit::{CommonArgs, TokenArgs};

use crate::serve::serve;

/// Runs the token server until it is told to stop, and ends the process.
pub async fn main(common: CommonArgs, own: TokenArgs) -> ! {
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
            serve(&foundation, &settings, serving, operations, told_to_stop())
        },
    )
    .await
}
