//! Telling of clients that fail again and again, and of those that a limit holds (`client_10`, `client_15`): a loop beside
//! the requests, on any number of servers.
//!
//! Whoever counts failures notes the client. Here it is looked whether they are so many that somebody must be told; that
//! is one change with its event, and with a letter to the owner contact where they make errors. It happens at most once in
//! the time that the tenant's settings say, however many servers look: one conditional write decides.

use std::time::Duration;

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Actor, Event, Origin, Person, Target};
use grantor_domain::client::Client;
use grantor_domain::failure::{Alert, Failures, is_due, summed_since};
use grantor_domain::limits::{ClientLimits, Limited};
use grantor_domain::settings::SustainedErrors;
use grantor_storage::alerts::{self, Noted};
use grantor_storage::{
    Change, ChangeTx, Scope, StorageError, client_limits, clients, failures, settings,
};
use serde_json::{Map, Value, json};

use crate::Api;
use crate::outbox::{Letter, Outbox};
use crate::problem::Problem;

/// How often it is looked whether clients were noted.
const INTERVAL: Duration = Duration::from_secs(2);
/// How many are looked at in one round.
const BATCH: i64 = 200;

/// Tells of clients that were noted, for as long as it is polled.
pub async fn raise_alerts(api: Api) {
    loop {
        match round(&api).await {
            // There may be more.
            Ok(looked_at) if i64::try_from(looked_at).is_ok_and(|count| count >= BATCH) => continue,
            Ok(_) => {}
            Err(error) => log::warn!("failures of clients can't be looked at now: {error}"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn round(api: &Api) -> Result<usize, StorageError> {
    let database = api.authority.database();
    let noted = alerts::noted(database, BATCH).await?;
    for noted in &noted {
        if let Err(problem) = look_at(api, *noted).await {
            if matches!(problem, Problem::Unavailable) {
                return Err(StorageError::Unavailable(problem.to_string()));
            }
            // A tenant that is suspended takes no change, as it is.
            if !matches!(problem, Problem::Unauthenticated(_)) {
                log::warn!("{} of {}: {problem}", noted.alert.as_str(), noted.client);
            }
            // One client must not hold up the others.
            alerts::dismiss(database, *noted).await?;
        }
    }
    Ok(noted.len())
}

async fn look_at(api: &Api, noted: Noted) -> Result<(), Problem> {
    let outbox = Outbox::of(api);
    let origin = Origin::without_request(Actor::Server);
    let database = api.authority.database();
    database
        .change(Scope::Tenant(noted.tenant), origin, api.now(), move |tx| {
            if !alerts::take(tx, &noted)? {
                return Ok(Change::Nothing(()));
            }
            match told(tx, &noted, &outbox)? {
                Some(event) => Ok(Change::made((), event)),
                None => Ok(Change::Untouched(())),
            }
        })
        .await
}

/// Tells what there is to tell of a client.
fn told(tx: &mut ChangeTx<'_>, noted: &Noted, outbox: &Outbox) -> Result<Option<Event>, Problem> {
    let Noted {
        tenant,
        client: id,
        alert,
    } = *noted;
    let Some(client) = clients::find(tx, tenant, id)? else {
        // It was deleted when it had just failed.
        alerts::forget(tx, tenant, id)?;
        return Ok(None);
    };
    let rule = settings::find(tx, tenant)?.sustained_errors;
    let since = summed_since(tx.now(), &rule);
    let failures = failures::since(tx, tenant, id, since)?;
    let last = tx.now() - rule.window();
    if !is_due(alert, &failures, &rule) || !alerts::raise(tx, noted, last)? {
        return Ok(None);
    }
    let mut particulars = particulars(alert, &failures, since);
    let (action, particulars) = match alert {
        Alert::SustainedErrors => {
            let letter = Letter::client_fails(&client, failures.towards(alert), since);
            outbox.post(tx, tenant, &letter)?;
            (
                Action::ClientSustainedErrors,
                with_contact(&client, rule, particulars),
            )
        }
        Alert::LimitReached => {
            let limits = client_limits::of(tx, tenant, &client)?;
            particulars.insert("limits".to_owned(), in_numbers(&limits));
            (Action::ClientLimitReached, Value::Object(particulars))
        }
    };
    Ok(Some(
        Event::new(tenant, action, Target::Client(id)).after(particulars),
    ))
}

/// How often what failed, since when.
fn particulars(alert: Alert, failures: &Failures, since: DateTime<Utc>) -> Map<String, Value> {
    let counts: Map<String, Value> = failures
        .iter()
        .filter(|(kind, _)| kind.alert() == alert)
        .map(|(kind, count)| (kind.as_str().to_owned(), count.into()))
        .collect();
    let mut particulars = Map::new();
    particulars.insert("failures".to_owned(), counts.into());
    particulars.insert("since".to_owned(), json!(since));
    particulars
}

/// The same with the rule that was broken and the owner contact, whom an erasure takes out again.
fn with_contact(
    client: &Client,
    rule: SustainedErrors,
    mut particulars: Map<String, Value>,
) -> Value {
    particulars.insert("threshold".to_owned(), rule.threshold.get().into());
    particulars.insert("window_seconds".to_owned(), rule.window.get().into());
    let contact = &client.settings.owner_contact;
    Person {
        name: contact.name.clone(),
        email: Some(contact.email.clone()),
    }
    .beside(particulars)
}

fn in_numbers(limits: &ClientLimits) -> Value {
    let numbers: Map<String, Value> = Limited::ALL
        .into_iter()
        .map(|limited| {
            let number = limits.get(limited).number;
            (limited.as_str().to_owned(), number.into())
        })
        .collect();
    numbers.into()
}
