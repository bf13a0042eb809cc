//! What the API server runs with besides what both servers do.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::HttpResponse;

use crate::config::args::ApiArgs;
use crate::config::listen::pair;
use crate::config::mail::MailSettings;
use crate::config::reading::given;
use crate::config::{Mistakes, Name, names};
use crate::rate_limit::{Monotonic, Rate, RateLimits, RateLimitsOptions};

/// More than a console shows at once for all admins behind one address, and far less than a flood.
const PER_ADDRESS: (u32, u64) = (1000, 10);
/// More than a script asks for that does one thing after the other.
const PER_CALLER: (u32, u64) = (500, 10);

/// What the API server runs with.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// For callers.
    pub listen: SocketAddr,
    /// For operators.
    pub operations_listen: SocketAddr,
    /// What one address may ask for; none if that is switched off.
    pub rate_per_address: Option<Rate>,
    /// What one access token may ask for; none if that is switched off.
    pub rate_per_caller: Option<Rate>,
    /// How mails are sent; none if they are not.
    pub mail: Option<MailSettings>,
}

impl ApiArgs {
    /// Checks everything and tells all mistakes.
    pub fn resolve(&self) -> Result<ApiSettings, Mistakes> {
        let mut mistakes = Mistakes::new();
        let listen = pair(
            (names::API_LISTEN, self.api_listen.as_ref(), 8080),
            (
                names::API_OPERATIONS_LISTEN,
                self.api_operations_listen.as_ref(),
                9080,
            ),
        );
        let rate_per_address = rate(
            &mut mistakes,
            names::API_RATE_PER_ADDRESS,
            self.api_rate_per_address.as_ref(),
            PER_ADDRESS,
        );
        let rate_per_caller = rate(
            &mut mistakes,
            names::API_RATE_PER_CALLER,
            self.api_rate_per_caller.as_ref(),
            PER_CALLER,
        );
        let mail = self.mail(&mut mistakes);
        let (listen, operations_listen) = match listen {
            Ok(listen) => listen,
            Err(mut others) => {
                others.merge(mistakes);
                return Err(others);
            }
        };
        mistakes.or(ApiSettings {
            listen,
            operations_listen,
            rate_per_address,
            rate_per_caller,
            mail,
        })
    }
}

impl ApiSettings {
    /// The limits, unless both are switched off. For the parameters see [`RateLimitsOptions`].
    pub fn rate_limits(
        &self,
        secret: [u8; 32],
        clock: Arc<dyn Monotonic>,
        answer: fn(u64) -> HttpResponse,
    ) -> Option<RateLimits> {
        self.rate_per_address.or(self.rate_per_caller)?;
        Some(RateLimits::new(RateLimitsOptions {
            per_address: self.rate_per_address,
            per_caller: self.rate_per_caller,
            secret,
            clock,
            answer,
        }))
    }

    /// The settings by option, without their secrets, to be printed.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let rate = |rate: Option<Rate>| rate.map_or("off".to_owned(), |rate| rate.to_string());
        let mut described = vec![
            ("api-listen", self.listen.to_string()),
            ("api-operations-listen", self.operations_listen.to_string()),
            ("api-rate-per-address", rate(self.rate_per_address)),
            ("api-rate-per-caller", rate(self.rate_per_caller)),
        ];
        described.extend(MailSettings::describe(self.mail.as_ref()));
        described
    }
}

/// A rate, `off`, or the default when none is given or it is wrong.
fn rate(
    mistakes: &mut Mistakes,
    name: Name,
    raw: Option<&String>,
    (requests, seconds): (u32, u64),
) -> Option<Rate> {
    let default = Rate::new(requests, seconds).ok();
    match given(raw) {
        None => default,
        Some("off") => None,
        Some(text) => text.parse().map_or_else(
            |error: crate::rate_limit::RateError| {
                mistakes.add(
                    name,
                    error.to_string(),
                    format!("give one such as 600/10s, off, or nothing for {requests}/{seconds}s"),
                );
                default
            },
            Some,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::ProcessClock;

    fn with(address: &str, caller: &str) -> Result<ApiSettings, Mistakes> {
        let args = ApiArgs {
            api_rate_per_address: Some(address.to_owned()),
            api_rate_per_caller: Some(caller.to_owned()),
            ..ApiArgs::default()
        };
        args.resolve()
    }

    fn described(settings: &ApiSettings) -> Vec<(&'static str, String)> {
        let rates = |(option, _): &(&str, String)| option.starts_with("api-rate");
        settings.describe().into_iter().filter(rates).collect()
    }

    #[test]
    fn by_default_both_limits_are_on() {
        for settings in [ApiArgs::default().resolve(), with("", " ")] {
            assert_eq!(
                described(&settings.unwrap()),
                [
                    ("api-rate-per-address", "1000/10s".to_owned()),
                    ("api-rate-per-caller", "500/10s".to_owned()),
                ]
            );
        }
    }

    #[test]
    fn each_limit_is_set_and_switched_off_by_itself() {
        let on = |settings: &ApiSettings| {
            let clock = Arc::new(ProcessClock::start());
            let answer = |_| HttpResponse::TooManyRequests().finish();
            settings.rate_limits([7; 32], clock, answer).is_some()
        };
        for (address, caller, shown, limits) in [
            ("600/1m", "off", ("600/60s", "off"), true),
            ("off", "7/1s", ("off", "7/1s"), true),
            ("off", "off", ("off", "off"), false),
        ] {
            let settings = with(address, caller).unwrap();
            let rates: Vec<_> = described(&settings)
                .into_iter()
                .map(|(_, rate)| rate)
                .collect();
            assert_eq!(rates, [shown.0, shown.1]);
            assert_eq!(on(&settings), limits);
        }
    }

    #[test]
    fn wrong_rates_and_addresses_are_told_together() {
        let args = ApiArgs {
            api_listen: Some("hunter2".to_owned()),
            api_rate_per_address: Some("hunter2".to_owned()),
            api_rate_per_caller: Some("0/10s".to_owned()),
            mail_folder: Some("mails".to_owned()),
            ..ApiArgs::default()
        };
        let told = args.resolve().unwrap_err().to_string();
        assert_eq!(told.lines().count(), 4, "{told}");
        assert!(
            told.contains("--api-rate-per-address (GRANTOR_API_RATE_PER_ADDRESS) is not a number of requests per time such as 600/10s: give one such as 600/10s, off, or nothing for 1000/10s"),
            "{told}"
        );
        assert!(
            told.contains(
                "--api-rate-per-caller (GRANTOR_API_RATE_PER_CALLER) lets through fewer than 1"
            ),
            "{told}"
        );
        assert!(told.contains("--mail-from"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
