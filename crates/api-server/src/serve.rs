//! Starting the server.

use std::future::Future;
use std::io;
use std::net::TcpListener;

use actix_web::{HttpResponse, ResponseError as _, web};
use grantor_foundation::{Foundation, OpenError, server_options};
use grantor_server_kit::config::MailSettings;
use grantor_server_kit::{
    ApiSettings, CommonSettings, ProcessClock, Rate, RateLimits, RateLimitsOptions,
};
use grantor_storage::StorageError;

use crate::alerts::raise_alerts;
use crate::outbox::{Mailing, send_mails};
use crate::problem::Problem;
use crate::tenants::purge::purge_deleted;
use crate::{Api, changes, routes};

/// The part of a request's time after which a request of many parts begins no further one.
const PATIENCE: f32 = 0.6;

/// What this server alone is started with.
#[derive(Default)]
pub struct Own {
    /// What one address may ask for.
    pub per_address: Option<Rate>,
    /// What one credential may ask for.
    pub per_caller: Option<Rate>,
    /// By what mails are sent; without, they wait.
    pub mailing: Option<Mailing>,
}

impl Own {
    /// What the settings say.
    pub fn of(settings: &ApiSettings) -> Result<Self, OpenError> {
        let mailing = |mail: &MailSettings| {
            Ok::<_, OpenError>(Mailing {
                sender: mail.sender()?,
                from: mail.from.clone(),
            })
        };
        Ok(Self {
            per_address: settings.rate_per_address,
            per_caller: settings.rate_per_caller,
            mailing: settings.mail.as_ref().map(mailing).transpose()?,
        })
    }
}

/// The API on a foundation.
pub fn api(foundation: &Foundation, settings: &CommonSettings) -> Api {
    let mut api = Api::new(
        foundation.authority.clone(),
        foundation.clock.clone(),
        settings.api_base.as_str(),
        settings.issuer_base.as_str(),
    );
    api.patience = settings.deadline.mul_f32(PATIENCE);
    api
}

/// Serves until told to stop, then drains.
pub fn serve<S: Future<Output = ()>>(
    foundation: &Foundation,
    settings: &CommonSettings,
    own: Own,
    listener: TcpListener,
    operations: TcpListener,
    stop: S,
) -> Result<impl Future<Output = io::Result<()>> + use<S>, OpenError> {
    let api = api(foundation, settings);
    let late = || Problem::Unavailable.error_response();
    let mut options = server_options(
        "api-server",
        listener,
        operations,
        settings,
        foundation,
        late,
    )?;
    options.rate_limits = Some(rate_limits(&api, &own)?);
    let (watch, database) = (api.watch.clone(), api.authority.database().clone());
    let waking = changes::follow(database, watch.clone());
    let mailing = send_mails(api.clone(), own.mailing);
    let purging = purge_deleted(api.clone());
    let alerting = raise_alerts(api.clone());
    let foundation = foundation.clone();
    let serving = grantor_server_kit::run(
        options,
        move |config| {
            config.app_data(web::Data::new(api.clone()));
            routes::configure(config);
        },
        async move {
            stop.await;
            // Streams would hold up the drain.
            watch.drain();
        },
    );
    // Boxed: what it holds is too large to be handed about.
    Ok(Box::pin(async move {
        tokio::select! {
            served = foundation.writing_uses(serving) => served,
            () = waking => Ok(()),
            () = mailing => Ok(()),
            () = purging => Ok(()),
            () = alerting => Ok(()),
        }
    }))
}

fn rate_limits(api: &Api, own: &Own) -> Result<RateLimits, OpenError> {
    let mut secret = [0; 32];
    api.authority
        .entropy()
        .fill(&mut secret)
        .map_err(StorageError::from)?;
    Ok(RateLimits::new(RateLimitsOptions {
        per_address: own.per_address,
        per_caller: own.per_caller,
        secret,
        clock: std::sync::Arc::new(ProcessClock::start()),
        answer: too_many,
    }))
}

fn too_many(retry_after_seconds: u64) -> HttpResponse {
    Problem::TooManyRequests {
        retry_after_seconds,
    }
    .error_response()
}
