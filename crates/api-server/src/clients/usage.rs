//! What a client uses: its live tokens, how near it is to its limits, and how often it failed (`client_10`, `client_15`).

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::failure::{self, minute_of};
use grantor_domain::ids::ClientId;
use grantor_domain::limits::{ClientLimits, Effective, Limited};
use grantor_domain::permission::Permission;
use grantor_storage::client_limits::Tally;
use grantor_storage::failures::{self, Window};
use grantor_storage::{client_limits, last_uses, live_tokens, tenants};
use serde::Serialize;
use utoipa::ToSchema;

use super::find;
use super::shapes::TokenCount;
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, QueryParameter, Success, Tag};
use crate::problem::Problem;
use crate::requests::Query;
use crate::words::{FailureKind, LimitSource};

const QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "hours",
        required: false,
        max_length: 3,
        about: "How far back failures are told, in hours: 1 to 744, by default 24; to 24 by the minute.",
        example: "24",
    },
    QueryParameter {
        name: "window",
        required: false,
        max_length: 6,
        about: "By what they are summed up: `minute`, `hour` (the default) or `day`.",
        example: "hour",
    },
];
/// As far back as failures are kept.
pub const MOST_HOURS: i64 = 31 * 24;
const MOST_HOURS_BY_THE_MINUTE: i64 = 24;

/// How often attempts failed in one way.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureCount {
    /// Why.
    kind: FailureKind,
    /// How often.
    #[schema(example = 12)]
    count: u64,
}

/// The failures of one window.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureWindow {
    /// When it began.
    from: DateTime<Utc>,
    /// What failed in it.
    failures: Vec<FailureCount>,
}

/// The failed attempts of a client. Those beyond what one network, or all together, may have refused in a while are answered
/// 429, which is no refusal, and are not counted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientFailures)]
pub struct FailuresOutput {
    /// Since when they are told.
    from: DateTime<Utc>,
    /// Until when.
    until: DateTime<Utc>,
    /// How long a window is.
    #[schema(example = 3600)]
    window_seconds: u32,
    /// All in this time, by kind.
    total: Vec<FailureCount>,
    /// The windows in which something failed, the eldest first.
    windows: Vec<FailureWindow>,
}

/// One limit of a client, and how near it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientLimit)]
pub struct LimitOutput {
    /// How much it may have.
    #[schema(example = 6000)]
    limit: u32,
    /// Where that comes from.
    source: LimitSource,
    /// How much it has: of its rate, what was issued in the last minute. `null` for operators in a tenant that is not theirs.
    #[schema(required = true, example = 120)]
    used: Option<i64>,
    /// The same in hundredths of the limit, rounded down.
    #[schema(required = true, example = 2)]
    used_percent: Option<i64>,
}

/// The limits of a client.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientLimits)]
pub struct LimitsOutput {
    /// Tokens in a minute. Each server counts for itself.
    tokens_per_minute: LimitOutput,
    /// Access tokens that live at the same time.
    max_live_tokens: LimitOutput,
}

/// What a client uses.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientUsage)]
pub struct UsageOutput {
    /// The client.
    #[schema(value_type = String, example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    client_id: ClientId,
    /// When it last authenticated, some seconds late; `null` if it never did.
    #[schema(required = true)]
    last_used_at: Option<DateTime<Utc>>,
    /// How many of its access tokens have not expired and were not removed. `null` for operators in a tenant that is not
    /// theirs.
    #[schema(required = true)]
    live_access_tokens: Option<TokenCount>,
    /// How many of these act for the member who asks; `null` if no member does.
    #[schema(required = true)]
    my_live_access_tokens: Option<TokenCount>,
    /// Its limits.
    limits: LimitsOutput,
    /// Its failed attempts, some seconds late.
    failures: FailuresOutput,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            "readClientUsage",
            "/v1/tenants/{tenant}/clients/{client}/usage",
        )
        .about(
            Tag::Clients,
            "Read what a client uses",
            "Its live tokens, when it was last used, how near it is to its limits, and how often it failed, by kind and \
             time. Failures are kept for 31 days.",
        )
        .needs(Permission::ClientsRead)
        .open_to_operators(Permission::PlatformSupport)
        .query(QUERY)
        .answers::<UsageOutput>(Success::Ok)
        .by(read),
    ]
}

/// Which failures are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    hours: i64,
    window_seconds: u32,
}

impl Asked {
    fn of(query: &Query) -> Result<Self, Problem> {
        let window_seconds = match query.get("window") {
            Some("minute") => 60,
            None | Some("hour") => 3_600,
            Some("day") => 86_400,
            Some(_) => {
                let detail = "must be `minute`, `hour` or `day`";
                return Err(Problem::parameter("window", detail));
            }
        };
        let most = if window_seconds == 60 {
            MOST_HOURS_BY_THE_MINUTE
        } else {
            MOST_HOURS
        };
        let hours = query.get("hours").map_or(Ok(24), str::parse);
        match hours {
            Ok(hours) if (1..=most).contains(&hours) => Ok(Self {
                hours,
                window_seconds,
            }),
            Ok(hours) if (1..=MOST_HOURS).contains(&hours) => {
                let detail = format!("must be at most {most} where `window` is `minute`");
                Err(Problem::parameter("hours", detail))
            }
            _ => {
                let detail = format!("must be a number from 1 to {MOST_HOURS}");
                Err(Problem::parameter("hours", detail))
            }
        }
    }

    /// Since when: the beginning of the window that it falls into, so that no window is told by half.
    fn since(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let from = (now - TimeDelta::hours(self.hours)).timestamp();
        let into = from.rem_euclid(self.window_seconds.into());
        DateTime::from_timestamp(from - into, 0).unwrap_or(now)
    }
}

async fn read(call: Call) -> Result<Answer<UsageOutput>, Problem> {
    let id = call.id("client")?;
    let asked = Asked::of(&call.query)?;
    call.read_in(call.scope(), move |tx, acting| {
        let client = find(tx, acting, id)?;
        let (tenant, now) = (acting.tenant, acting.now);
        let uses = last_uses::of(tx, tenant, [id.uuid()])?;
        let limits = client_limits::of(tx, tenant, &client)?;
        // role_2: whoever supports the platform sees clients, and no tokens.
        let seen = if acting.is_for_platform() {
            None
        } else {
            let tenant = tenants::find(tx, tenant)?.ok_or(Problem::NotFound)?;
            let most = limits.live_tokens.number;
            let tally = client_limits::tally(tx, &tenant, id, most, now)?;
            let member = acting.caller.member;
            let live = live_tokens::count_of(tx, &tenant, id, member, now)?;
            Some((tally, live))
        };
        let (tally, live) = seen.unzip();
        // The present minute is told too.
        let (from, until) = (asked.since(now), minute_of(now) + failure::MINUTE);
        let window = asked.window_seconds;
        let windows = failures::by_window(tx, tenant, id, from, until, window)?;
        Ok(Answer::ok(&UsageOutput {
            client_id: id,
            last_used_at: uses.get(&id.uuid()).copied(),
            live_access_tokens: live.map(|live| live.all.into()),
            my_live_access_tokens: live.and_then(|live| live.of_member.map(Into::into)),
            limits: LimitsOutput::of(&limits, tally),
            failures: FailuresOutput::of(from, now, window, &windows),
        })?)
    })
    .await
}

impl LimitsOutput {
    fn of(limits: &ClientLimits, tally: Option<Tally>) -> Self {
        let shown = |limited, used: Option<i64>| {
            let Effective { number, set_by } = limits.get(limited);
            LimitOutput {
                limit: number,
                source: set_by.into(),
                used,
                used_percent: used.map(|used| used.saturating_mul(100) / i64::from(number.max(1))),
            }
        };
        Self {
            tokens_per_minute: shown(Limited::TokensPerMinute, tally.map(|tally| tally.recent)),
            max_live_tokens: shown(Limited::LiveTokens, tally.map(|tally| tally.live)),
        }
    }
}

impl FailuresOutput {
    fn of(
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        window_seconds: u32,
        windows: &[Window],
    ) -> Self {
        let mut total = failure::Failures::default();
        for (kind, count) in windows.iter().flat_map(|window| window.failures.iter()) {
            total.add(kind, count);
        }
        let windows = windows.iter().map(|window| FailureWindow {
            from: window.from,
            failures: counts(&window.failures),
        });
        Self {
            from,
            until,
            window_seconds,
            total: counts(&total),
            windows: windows.collect(),
        }
    }
}

fn counts(failures: &failure::Failures) -> Vec<FailureCount> {
    let count = |(kind, count): (failure::FailureKind, u64)| FailureCount {
        kind: kind.into(),
        count,
    };
    failures.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(given: &[(&str, &str)]) -> Option<(i64, u32)> {
        let asked = Asked::of(&Query::of(given)).ok()?;
        Some((asked.hours, asked.window_seconds))
    }

    #[test]
    fn client_10_the_span_of_what_is_told_is_bounded() {
        assert_eq!(asked(&[]), Some((24, 3_600)));
        assert_eq!(asked(&[("hours", "744")]), Some((744, 3_600)));
        let by_minute = ("window", "minute");
        assert_eq!(asked(&[("hours", "24"), by_minute]), Some((24, 60)));
        assert_eq!(asked(&[("hours", "25"), by_minute]), None);
        for hours in ["0", "-1", "745", "1.5", "x", "99999999999999999999"] {
            assert_eq!(asked(&[("hours", hours)]), None, "{hours}");
        }
        assert_eq!(asked(&[("window", "week")]), None);
    }

    #[test]
    fn client_10_what_is_told_begins_with_a_whole_window() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let since = |window_seconds| {
            let asked = Asked {
                hours: 1,
                window_seconds,
            };
            asked.since(at("2026-01-31T12:34:56Z"))
        };
        assert_eq!(since(60), at("2026-01-31T11:34:00Z"));
        assert_eq!(since(3_600), at("2026-01-31T11:00:00Z"));
        assert_eq!(since(86_400), at("2026-01-31T00:00:00Z"));
    }
}
