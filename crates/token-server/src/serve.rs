//! Starting the server.

use std::future::Future;
use std::io;
use std::net::TcpListener;

use actix_web::{ResponseError as _, web};
use grantor_foundation::{Foundation, OpenError, server_options};
use grantor_server_kit::CommonSettings;

use crate::answer::{Oops, unavailable};
use crate::{TokenService, routes};

/// Serves until told to stop, then drains.
pub fn serve<S: Future<Output = ()>>(
    foundation: &Foundation,
    settings: &CommonSettings,
    listener: TcpListener,
    operations: TcpListener,
    stop: S,
) -> Result<impl Future<Output = io::Result<()>> + use<S>, OpenError> {
    let service = TokenService {
        authority: foundation.authority.clone(),
        clock: foundation.clock.clone(),
    };
    let late = || Oops::OAuth(unavailable()).error_response();
    let options = server_options(
        "token-server",
        listener,
        operations,
        settings,
        foundation,
        late,
    )?;
    let authority = foundation.authority.clone();
    options.metrics.tell(
        "grantor_attempts_of_unknown_clients_total",
        "Attempts that named a client which does not exist.",
        move || authority.attempts_of_unknown_clients(),
    );
    let serving = grantor_server_kit::run(
        options,
        move |config| {
            config.app_data(web::Data::new(service.clone()));
            routes::configure(config);
        },
        stop,
    );
    let foundation = foundation.clone();
    // Boxed: what it holds is too large to be handed about.
    Ok(Box::pin(async move {
        let following = foundation.following_changes(serving);
        foundation.writing_uses(following).await
    }))
}
