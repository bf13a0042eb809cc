//! The log of record, for those who may read it.

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{AuditEventId, ClientId, MemberId};
use grantor_domain::permission::Permission;
use grantor_storage::audit_events::{AuditFilter, LoggedEvent};
use grantor_storage::{Change, audit_events};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Filter, FilterKind, Json, ListRules, Place};
use crate::schemas::Page;

const EVENTS: &str = "/v1/tenants/{tenant}/audit-events";

/// How many events one call of erasure goes over.
const ERASED_AT_ONCE: i64 = 2_000;

const LIST: &ListRules = &ListRules {
    filters: &[
        Filter {
            name: "actor",
            kind: FilterKind::Text(100),
            about: "Only what this one did: the id of a client or member, or the name of a command.",
            example: "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
        },
        Filter {
            name: "action",
            kind: FilterKind::Text(100),
            about: "Only this action, as in `client.disabled`.",
            example: "client.disabled",
        },
        Filter {
            name: "target",
            kind: FilterKind::Text(100),
            about: "Only what was done to this one: its id.",
            example: "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
        },
        Filter {
            name: "from",
            kind: FilterKind::Time,
            about: "Only what happened at this time or later.",
            example: "2026-01-31T12:00:00Z",
        },
        Filter {
            name: "until",
            kind: FilterKind::Time,
            about: "Only what happened before this time.",
            example: "2026-02-28T12:00:00Z",
        },
    ],
    sorts: &["-at"],
};

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorOutput {
    /// `client`, `member`, `command` (somebody at the installation's command line) or `server`.
    #[schema(example = "client")]
    kind: String,
    /// Their id or name.
    #[schema(example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: String,
    /// The tenant that they belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tenant_id: Option<String>,
    /// The client through which a member acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_id: Option<String>,
}

/// On what it was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Target)]
pub struct TargetOutput {
    /// The kind of thing.
    #[schema(example = "client")]
    pub kind: String,
    /// Its id.
    #[schema(example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    pub id: String,
}

/// One event of the log of record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct AuditEventOutput {
    /// Its id.
    #[schema(example = "aud_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: String,
    /// When.
    at: DateTime<Utc>,
    /// What was done.
    #[schema(example = "client.created")]
    action: String,
    /// The version of the schema that `before` and `after` follow for this action.
    #[schema(example = 1)]
    version: i32,
    /// Who did it.
    actor: ActorOutput,
    /// On what.
    target: TargetOutput,
    /// How the target was before. Never with a secret.
    #[schema(value_type = Option<BTreeMap<String, Value>>, required = true)]
    before: Option<Value>,
    /// How the target is now, or the particulars. Never with a secret.
    #[schema(value_type = Option<BTreeMap<String, Value>>, required = true)]
    after: Option<Value>,
    /// From where.
    #[schema(required = true)]
    ip: Option<String>,
    /// By what program.
    #[schema(required = true)]
    user_agent: Option<String>,
    /// In the course of which request.
    #[schema(required = true)]
    request_id: Option<String>,
    /// When what tells of the person was erased from it.
    #[schema(required = true)]
    erased_at: Option<DateTime<Utc>>,
}

impl From<LoggedEvent> for AuditEventOutput {
    fn from(event: LoggedEvent) -> Self {
        Self {
            id: event.id.to_string(),
            at: event.at,
            action: event.action,
            version: event.version,
            actor: ActorOutput {
                kind: event.actor_kind,
                id: event.actor,
                tenant_id: event.actor_tenant.map(|tenant| tenant.to_string()),
                client_id: event.actor_client,
            },
            target: TargetOutput {
                kind: event.target_kind,
                id: event.target,
            },
            before: event.before,
            after: event.after,
            ip: event.ip,
            user_agent: event.user_agent,
            request_id: event.request_id,
            erased_at: event.erased_at,
        }
    }
}

/// Whom the log is to forget.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "subject": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b" }))]
pub struct Erasure {
    /// The id of a member or client.
    #[schema(
        example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^(mem|cli)_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    subject: String,
}

/// What an erasure came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureResult {
    /// How many events were gone over in this call.
    erased: i64,
    /// Whether that was all. If not, call again.
    complete: bool,
}

/// The operations on the log.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listAuditEvents", EVENTS)
            .about(
                Tag::Audit,
                "Read the log of record",
                "The newest events first. A filter must be met exactly, and several all at once.",
            )
            .needs_over_whole_tenant(Permission::AuditRead)
            .lists(LIST)
            .answers::<Page<AuditEventOutput>>(Success::Ok)
            .by(list),
        Operation::get("readAuditEvent", "/v1/tenants/{tenant}/audit-events/{event}")
            .about(Tag::Audit, "Read one event", "As the list shows it.")
            .needs_over_whole_tenant(Permission::AuditRead)
            .answers::<AuditEventOutput>(Success::Ok)
            .by(read),
        Operation::post("eraseFromAuditEvents", "/v1/tenants/{tenant}/audit-events/erase")
            .about(
                Tag::Audit,
                "Erase a person from the log",
                "Takes address, user agent and names out of every event that the subject did or that was done to it. \
                 The trail stays: who (by id), what, on what, when. Goes over 2,000 events a call; call again until \
                 `complete`. It can't be undone.",
            )
            .needs_over_whole_tenant(Permission::AuditErase)
            .takes::<Json<Erasure>>()
            .answers::<ErasureResult>(Success::Ok)
            .records(&[Action::PersonErased])
            .by(erase),
    ]
}

async fn list(call: Call) -> Result<Answer<Page<AuditEventOutput>>, Problem> {
    let page = call.page()?;
    let text = |name: &str| page.filters.text(name).map(str::to_owned);
    let filter = AuditFilter {
        actor: text("actor"),
        action: text("action"),
        target: text("target"),
        from: page.filters.time("from"),
        until: page.filters.time("until"),
    };
    let (after, newest_first, fetch) = (page.after_id(), page.descending, page.fetch());
    let found = call
        .read(move |tx, acting| {
            let after = after.map(AuditEventId::from_uuid);
            Ok(audit_events::search(
                tx,
                acting.tenant,
                &filter,
                newest_first,
                after,
                fetch,
            )?)
        })
        .await?;
    let place = |event: &LoggedEvent| Place::of(event.id.uuid());
    Answer::ok(&page.page(found, place, AuditEventOutput::from)?)
}

async fn read(call: Call) -> Result<Answer<AuditEventOutput>, Problem> {
    let id: AuditEventId = call.id("event")?;
    let event = call
        .read(move |tx, acting| Ok(audit_events::find(tx, acting.tenant, id)?))
        .await?
        .ok_or(Problem::NotFound)?;
    Answer::ok(&AuditEventOutput::from(event))
}

async fn erase(call: Call, Json(input): Json<Erasure>) -> Result<Answer<ErasureResult>, Problem> {
    let target = target_of(&input.subject)?;
    call.change(move |tx, acting| {
        let erased = audit_events::erase(tx, acting.tenant, &target.id(), ERASED_AT_ONCE)?;
        let result = ErasureResult {
            erased,
            complete: erased < ERASED_AT_ONCE,
        };
        let event = Event::new(acting.tenant, Action::PersonErased, target)
            .after(json!({ "events": erased }));
        Ok(Change::made(Answer::ok(&result)?, event))
    })
    .await
}

fn target_of(subject: &str) -> Result<Target, Problem> {
    subject
        .parse::<MemberId>()
        .map(Target::Member)
        .or_else(|_| subject.parse::<ClientId>().map(Target::Client))
        .map_err(|_| {
            Problem::field(
                "/subject",
                "must be the id of a member (mem_…) or client (cli_…)",
            )
        })
}
