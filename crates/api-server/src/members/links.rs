//! Links by which a member sets a password, once: to come in for the first time, and to come in again.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use grantor_authority::PreparedLink;
use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::credential_link::{LinkKey, LinkPurpose};
use grantor_domain::ids::CredentialLinkId;
use grantor_domain::member::Member;
use grantor_domain::permission::Permission;
use grantor_domain::settings::TenantSettings;
use grantor_domain::tenant::Tenant;
use grantor_keys::Entropy;
use grantor_storage::{Change, ChangeTx, authenticators, credential_links, settings, tenants};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::authority::check_may_be;
use super::find_for_change;
use crate::Api;
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::outbox::{Letter, Outbox};
use crate::problem::Problem;
use crate::requests::OptionalJson;
use crate::words::LinkDelivery;

/// What stands in a link's place in the answer of a dry run. It leads nowhere.
const DRY_RUN_LINK: &str = "none: this was a dry run";

/// How a link gets to its member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinkRequest, example = json!({ "deliver": "mail" }))]
pub struct LinkInput {
    /// By mail to the member's address, or shown in this answer alone, to be handed over.
    #[serde(default = "by_mail")]
    #[schema(default = "mail")]
    deliver: LinkDelivery,
}

impl Default for LinkInput {
    fn default() -> Self {
        Self { deliver: by_mail() }
    }
}

fn by_mail() -> LinkDelivery {
    LinkDelivery::Mail
}

/// A link that was made.
#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
pub struct LinkOutput {
    /// Its id, by which the log of record names it.
    #[schema(value_type = String, example = "lnk_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: CredentialLinkId,
    /// Until when it is good, if it is not used before.
    expires_at: DateTime<Utc>,
    /// How it gets to the member.
    deliver: LinkDelivery,
    /// The link itself, if it is to be handed over. It is shown this once: whoever has it can be the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        nullable = false,
        example = "https://login.example/t/ten_…/credentials?token=glk_…"
    )]
    url: Option<String>,
}

impl std::fmt::Debug for LinkOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkOutput")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl LinkOutput {
    /// Its id, if it is shown.
    pub(super) fn shown(&self) -> Option<CredentialLinkId> {
        self.url.is_some().then_some(self.id)
    }
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("inviteMember", "/v1/tenants/{tenant}/members/{member}/invite")
            .about(
                Tag::Members,
                "Invite a member",
                "Makes a link by which the member sets their first password, and sends or shows it. It works once, until \
                 it expires, the member's address changes, or there is a newer one. To be shown it you must hold \
                 whatever the member holds.",
            )
            .needs(Permission::MembersWrite)
            .conditional()
            .takes::<OptionalJson<LinkInput>>()
            .answers::<LinkOutput>(Success::Ok)
            .records(&[Action::MemberInvited])
            .by(invite),
        Operation::post(
            "resetMemberPassword",
            "/v1/tenants/{tenant}/members/{member}/reset-password",
        )
        .about(
            Tag::Members,
            "Let a member set a new password",
            "Makes a link for that, with a short life, and sends or shows it. Until it is used, the present password \
             goes on working. To be shown it you must hold whatever the member holds.",
        )
        .needs(Permission::MembersWrite)
        .conditional()
        .takes::<OptionalJson<LinkInput>>()
        .answers::<LinkOutput>(Success::Ok)
        .records(&[Action::PasswordResetOffered])
        .by(reset),
        Operation::post(
            "revokeMemberLinks",
            "/v1/tenants/{tenant}/members/{member}/revoke-links",
        )
        .about(
            Tag::Members,
            "Revoke a member's links",
            "No link that was sent or shown before works any more.",
        )
        .needs(Permission::MembersWrite)
        .urgent()
        .conditional()
        .records(&[Action::LinksRevoked])
        .by(revoke),
    ]
}

/// Where links are made and posted.
pub(super) struct Links {
    outbox: Outbox,
    entropy: Arc<dyn Entropy>,
}

impl Links {
    pub(super) fn of(api: &Api) -> Self {
        Self {
            outbox: Outbox::of(api),
            entropy: api.authority.database().entropy().clone(),
        }
    }

    /// Makes a link for a member and sends or shows it. Every other link of the member's dies by it.
    pub(super) fn make(
        &self,
        tx: &mut ChangeTx<'_>,
        acting: &Acting,
        member: &Member,
        purpose: LinkPurpose,
        deliver: LinkDelivery,
    ) -> Result<(LinkOutput, Events), Stop> {
        let tenant = tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
        let settings = settings::find(tx, acting.tenant)?;
        let has_password = authenticators::has_password(tx, acting.tenant, member.id)?;
        let expires_at = tx.now() + lifetime(&settings, purpose, has_password);
        let entropy = self.entropy.as_ref();
        let link = PreparedLink::new(entropy, tenant.id, member.id, purpose, expires_at)?;
        link.store(tx)?;
        let url = link.address(settings.credential_page.as_ref(), &tenant.issuer);
        let event = Event::new(tenant.id, action(purpose), Target::Member(member.id))
            .after(json!({
            "link_id": link.id(), "expires_at": expires_at, "deliver": deliver }));
        let mut events = Events::from(event);
        let shown = match deliver {
            LinkDelivery::Mail => {
                let letter = letter(member, &tenant, &settings, &link, &url);
                self.outbox.post(tx, tenant.id, &letter)?;
                None
            }
            LinkDelivery::Show => {
                credential_links::mark_shown(
                    tx,
                    LinkKey {
                        tenant: tenant.id,
                        member: member.id,
                        id: link.id(),
                    },
                )?;
                let event = Event::new(tenant.id, Action::LinkShown, Target::Member(member.id));
                events = events.and(event.after(json!({ "link_id": link.id() })));
                Some(if acting.dry_run {
                    DRY_RUN_LINK.to_owned()
                } else {
                    url.to_string()
                })
            }
        };
        let output = LinkOutput {
            id: link.id(),
            expires_at,
            deliver,
            url: shown,
        };
        Ok((output, events))
    }
}

/// An invitation of somebody who has a password already is a reset, whatever it is called: it lives no longer.
fn lifetime(settings: &TenantSettings, purpose: LinkPurpose, has_password: bool) -> TimeDelta {
    let reset = settings.password_reset_lifetime.get();
    let seconds = match purpose {
        LinkPurpose::Invitation if has_password => settings.invitation_lifetime.get().min(reset),
        LinkPurpose::Invitation => settings.invitation_lifetime.get(),
        LinkPurpose::PasswordReset => reset,
    };
    TimeDelta::seconds(seconds.into())
}

fn action(purpose: LinkPurpose) -> Action {
    match purpose {
        LinkPurpose::Invitation => Action::MemberInvited,
        LinkPurpose::PasswordReset => Action::PasswordResetOffered,
    }
}

fn letter(
    member: &Member,
    tenant: &Tenant,
    settings: &TenantSettings,
    link: &PreparedLink,
    url: &str,
) -> Letter {
    let contact = settings.support_contact.as_ref();
    match link.purpose() {
        LinkPurpose::Invitation => {
            Letter::invitation(member, &tenant.name, contact, url, link.expires_at())
        }
        LinkPurpose::PasswordReset => {
            Letter::password_reset(member, &tenant.name, contact, url, link.expires_at())
        }
    }
}

pub(super) async fn invite(
    call: Call,
    input: OptionalJson<LinkInput>,
) -> Result<Answer<LinkOutput>, Problem> {
    make(call, input, LinkPurpose::Invitation).await
}

pub(super) async fn reset(
    call: Call,
    input: OptionalJson<LinkInput>,
) -> Result<Answer<LinkOutput>, Problem> {
    make(call, input, LinkPurpose::PasswordReset).await
}

async fn make(
    call: Call,
    OptionalJson(input): OptionalJson<LinkInput>,
    purpose: LinkPurpose,
) -> Result<Answer<LinkOutput>, Problem> {
    let id = call.id("member")?;
    let links = Links::of(call.api());
    call.change(move |tx, acting| {
        let member = find_for_change(tx, acting, id)?;
        if member.suspension.is_suspended() {
            let detail = "is disabled; enable the member first";
            return Err(Problem::parameter("member", detail).into());
        }
        if input.deliver == LinkDelivery::Show {
            // Whoever has the link can be the member.
            check_may_be(tx, acting, &member)?;
        }
        let (output, events) = links.make(tx, acting, &member, purpose, input.deliver)?;
        let answer = Answer::ok(&output)?;
        let answer = match output.shown() {
            Some(link) => answer.showing_link(acting.tenant, id, link),
            None => answer,
        };
        Ok(Change::Made(answer, events))
    })
    .await
}

pub(super) async fn revoke(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.id("member")?;
    call.change(move |tx, acting| {
        let member = find_for_change(tx, acting, id)?;
        credential_links::revoke_all(tx, acting.tenant, member.id)?;
        let event = Event::new(acting.tenant, Action::LinksRevoked, Target::Member(id));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
