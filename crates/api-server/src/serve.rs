//! Starting the server.

use std::future::Future;
use std::io;
use std::net::TcpListener;

use actix_web::{ResponseError as _, web};
use grantor_foundation::{Foundation, OpenError, server_options};
use grantor_server_kit::CommonSettings;

use crate::problem::Problem;
use crate::{Api, routes};

/// The API on a foundation.
pub fn api(foundation: &Foundation, settings: &CommonSettings) -> Api {
    Api {
        authority: foundation.authority.clone(),
        clock: foundation.clock.clone(),
        base: settings.api_base.as_str().to_owned(),
        issuer_base: settings.issuer_base.as_str().to_owned(),
    }
}

/// Serves until told to stop, then drains.
pub fn serve<S: Future<Output = ()>>(
    foundation: &Foundation,
    settings: &CommonSettings,
    listener: TcpListener,
    operations: TcpListener,
    stop: S,
) -> Result<impl Future<Output = io::Result<()>> + use<S>, OpenError> {
    let api = api(foundation, settings);
    let late = || Problem::Unavailable.error_response();
    let options = server_options(
        "api-server",
        listener,
        operations,
        settings,
        foundation,
        late,
    )?;
    Ok(grantor_server_kit::run(
        options,
        move |config| {
            config.app_data(web::Data::new(api.clone()));
            routes::configure(config);
        },
        stop,
    ))
}
