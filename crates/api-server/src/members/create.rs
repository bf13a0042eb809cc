//! Making a member, and how they first come in: by a link, or with a password that they are given.

use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::credential_link::LinkPurpose;
use grantor_domain::ids::MemberId;
use grantor_domain::member::{MemberSettings, NewMember};
use grantor_domain::password::{Password, PasswordRules};
use grantor_domain::quota::Counted;
use grantor_keys::PasswordVerifier;
use grantor_storage::{Change, authenticators, members, quotas, settings};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::links::{LinkOutput, Links};
use super::shapes::{MemberInput, MemberOutput, for_the_log};
use super::{check_home, conflict, output};
use crate::answer::Answer;
use crate::call::Call;
use crate::problem::Problem;
use crate::requests::Json;
use crate::words::LinkDelivery;

/// A member to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMember, example = json!({ "name": "A new colleague", "email": "colleague@acme.example",
    "invitation": "mail" }))]
pub struct NewMemberInput {
    /// Their name.
    #[schema(example = "A new colleague", min_length = 1, max_length = 100)]
    name: String,
    /// Their mail address; in one tenant no two members have the same.
    #[schema(example = "colleague@acme.example", format = Email, max_length = 254)]
    email: String,
    /// Where they live in the tree; the root organization unless told otherwise.
    #[schema(
        example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^org_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    organization_id: Option<String>,
    /// How the link gets to them by which they set their first password; no link is made if this is absent.
    invitation: Option<LinkDelivery>,
    /// The password that they are given instead. It must be as good as one that they would choose.
    #[serde(default, deserialize_with = "unrepeated")]
    #[schema(value_type = Option<String>, format = Password, min_length = 8, max_length = 256)]
    password: Option<Zeroizing<String>>,
}

/// A text of which, when it is none, nothing is told: the parser's own sentence would repeat it.
fn unrepeated<'de, D: Deserializer<'de>>(given: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Option::deserialize(given).map_err(|_| D::Error::custom("must be a text"))
}

impl std::fmt::Debug for NewMemberInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It may hold a password.
        f.debug_struct("NewMemberInput").finish_non_exhaustive()
    }
}

/// A member who was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedMember {
    #[serde(flatten)]
    member: MemberOutput,
    /// The link by which they set their first password, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    invitation: Option<LinkOutput>,
}

pub(super) async fn create(
    call: Call,
    Json(input): Json<NewMemberInput>,
) -> Result<Answer<CreatedMember>, Problem> {
    let id: MemberId = call.api().new_id()?;
    let links = Links::of(call.api());
    let location = call.address(&format!("/v1/tenants/{}/members/{id}", call.tenant()));
    let invitation = input.invitation;
    if invitation.is_some() && input.password.is_some() {
        let detail =
            "can't be given together with an invitation, by which the member sets their own";
        return Err(Problem::field("/password", detail));
    }
    let shape = MemberInput {
        name: input.name,
        email: input.email,
        organization_id: input.organization_id,
    };
    let new = NewMember {
        id,
        settings: shape.verified(call.acting.caller.root)?,
    };
    let verifier = match input.password {
        Some(password) => Some(hashed(&call, id, &new.settings, &password).await?),
        None => None,
    };
    call.change(move |tx, acting| {
        check_home(tx, acting, new.settings.organization)?;
        members::insert(tx, acting.tenant, &new).map_err(conflict)?;
        quotas::check(tx, acting.tenant, Counted::Members)?;
        let target = Target::Member(id);
        let mut events = Events::from(
            Event::new(acting.tenant, Action::MemberCreated, target)
                .after(for_the_log(&new.settings)),
        );
        if let Some(verifier) = &verifier {
            authenticators::set_password(tx, acting.tenant, id, verifier)?;
            let event = Event::new(acting.tenant, Action::PasswordSet, target);
            events = events.and(event.after(json!({ "by": "administrator" })));
        }
        let member = members::find(tx, acting.tenant, id)?.ok_or(Problem::Internal)?;
        let invitation = match invitation {
            Some(deliver) => {
                let purpose = LinkPurpose::Invitation;
                let (link, further) = links.make(tx, acting, &member, purpose, deliver)?;
                events = events.then(further);
                Some(link)
            }
            None => None,
        };
        let shown = invitation.as_ref().and_then(LinkOutput::shown);
        let created = CreatedMember {
            member: output(tx, acting, &member)?,
            invitation,
        };
        let answer = Answer::created(&created, location)?.tagged(member.revision);
        Ok(Change::Made(
            match shown {
                Some(link) => answer.showing_link(acting.tenant, id, link),
                None => answer,
            },
            events,
        ))
    })
    .await
}

/// A password that the member is given, checked by the tenant's rules and hashed when its turn has come.
async fn hashed(
    call: &Call,
    id: MemberId,
    of: &MemberSettings,
    password: &str,
) -> Result<PasswordVerifier, Problem> {
    let settings = call
        .read(|tx, acting| Ok(settings::find(tx, acting.tenant)?))
        .await?;
    let rules = PasswordRules {
        least: settings.password_min_length,
        name: of.name.clone(),
        email: of.email.clone(),
    };
    let password =
        Password::parse(password, &rules).map_err(|error| Problem::field("/password", error))?;
    Ok(call.api().authority.hash_password(password, id).await?)
}
