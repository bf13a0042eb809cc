//! The log of record: who did what, on what, from where (`audit_1`).
//!
//! Names and addresses of persons stand in an event's particulars under the key `person` alone, and nowhere
//! else in them. So a person can be erased from the log while the trail stays (`audit_2`). [`Person`] puts them
//! there.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::ids::{
    ClientId, MemberId, OrganizationId, ResourceServerId, RoleAssignmentId, RoleId, SecretId,
    TenantId, TokenId,
};
use crate::text::{EmailAddress, PersonName};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A client with a token of its own.
    Client {
        /// The tenant that it belongs to.
        tenant: TenantId,
        /// The client.
        client: ClientId,
    },
    /// A member, through a client that acts for them, or by a link of their own.
    Member {
        /// The tenant that they belong to.
        tenant: TenantId,
        /// The member.
        member: MemberId,
        /// The client through which they act.
        client: Option<ClientId>,
    },
    /// Somebody at the installation's command line, named by the command.
    Command(&'static str),
    /// A server, by itself.
    Server,
}

impl Actor {
    /// The kind, as the log names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Client { .. } => "client",
            Self::Member { .. } => "member",
            Self::Command(_) => "command",
            Self::Server => "server",
        }
    }

    /// Who exactly, as the log names them.
    pub fn name(&self) -> String {
        match self {
            Self::Client { client, .. } => client.to_string(),
            Self::Member { member, .. } => member.to_string(),
            Self::Command(name) => (*name).to_owned(),
            Self::Server => "grantor".to_owned(),
        }
    }

    /// The tenant that they belong to.
    pub fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Client { tenant, .. } | Self::Member { tenant, .. } => Some(*tenant),
            Self::Command(_) | Self::Server => None,
        }
    }

    /// The client through which a member acts.
    pub fn client(&self) -> Option<ClientId> {
        match self {
            Self::Member { client, .. } => *client,
            Self::Client { .. } | Self::Command(_) | Self::Server => None,
        }
    }
}

/// From where, and in the course of what request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who acts.
    pub actor: Actor,
    /// The address that the request came from.
    pub ip: Option<IpAddr>,
    /// The program that sent it.
    pub user_agent: Option<String>,
    /// The request's id, as in the logs.
    pub request_id: Option<String>,
}

impl Origin {
    /// Something that no request asked for.
    pub fn without_request(actor: Actor) -> Self {
        Self {
            actor,
            ip: None,
            user_agent: None,
            request_id: None,
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A tenant.
    Tenant(TenantId),
    /// An organization.
    Organization(OrganizationId),
    /// A member.
    Member(MemberId),
    /// A client.
    Client(ClientId),
    /// A client's secret.
    Secret(SecretId),
    /// An access token.
    Token(TokenId),
    /// A resource server.
    ResourceServer(ResourceServerId),
    /// A role that the tenant has made for itself.
    Role(RoleId),
    /// A role that somebody holds.
    RoleAssignment(RoleAssignmentId),
}

impl Target {
    /// The kind, as the log names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Organization(_) => "organization",
            Self::Member(_) => "member",
            Self::Client(_) => "client",
            Self::Secret(_) => "secret",
            Self::Token(_) => "token",
            Self::ResourceServer(_) => "resource_server",
            Self::Role(_) => "role",
            Self::RoleAssignment(_) => "role_assignment",
        }
    }

    /// The id, as the log names it.
    pub fn id(&self) -> String {
        match self {
            Self::Tenant(id) => id.to_string(),
            Self::Organization(id) => id.to_string(),
            Self::Member(id) => id.to_string(),
            Self::Client(id) => id.to_string(),
            Self::Secret(id) => id.to_string(),
            Self::Token(id) => id.to_string(),
            Self::ResourceServer(id) => id.to_string(),
            Self::Role(id) => id.to_string(),
            Self::RoleAssignment(id) => id.to_string(),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal $(, version $version:literal)?;)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$doc])* $name),* }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word in the log, as in `client.created`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The version of the particulars that its events carry. It goes up when a reader of the
            /// former ones would take the new ones for something that they are not.
            pub const fn version(self) -> i32 {
                match self { $(Self::$name => actions!(@version $($version)?)),* }
            }
        }
    };
    (@version) => { 1 };
    (@version $version:literal) => { $version };
}

actions! {
    /// The installation got its platform tenant and first operator.
    PlatformBootstrapped = "platform.bootstrapped";
    /// A tenant was made.
    TenantCreated = "tenant.created";
    /// A tenant's name, issuer or quotas were changed.
    TenantUpdated = "tenant.updated";
    /// A tenant was suspended by an operator.
    TenantSuspended = "tenant.suspended";
    /// A suspended tenant was restored by an operator.
    TenantRestored = "tenant.restored";
    /// A tenant was deleted for good.
    TenantDeleted = "tenant.deleted";
    /// A tenant's settings were changed.
    SettingsUpdated = "tenant.settings_updated";
    /// The root ownership of a tenant went to another member.
    RootOwnerChanged = "tenant.root_owner_changed";
    /// An organization was made.
    OrganizationCreated = "organization.created";
    /// An organization was renamed.
    OrganizationUpdated = "organization.updated";
    /// An organization was put under another one.
    OrganizationMoved = "organization.moved";
    /// An organization was deleted.
    OrganizationDeleted = "organization.deleted";
    /// A member was made.
    MemberCreated = "member.created";
    /// A member's name, address or organization was changed.
    MemberUpdated = "member.updated";
    /// A member was disabled.
    MemberDisabled = "member.disabled";
    /// A member was enabled again.
    MemberEnabled = "member.enabled";
    /// A member was deleted for good.
    MemberDeleted = "member.deleted";
    /// A member was offboarded: what they owned went to somebody else, and they lost their roles.
    MemberOffboarded = "member.offboarded";
    /// A link was made by which a member sets their first password.
    MemberInvited = "member.invited";
    /// A link was made by which a member sets a new password.
    PasswordResetOffered = "member.password_reset_offered";
    /// Every link of a member was revoked.
    LinksRevoked = "member.links_revoked";
    /// A link was shown to the caller.
    LinkShown = "member.link_shown";
    /// A member set their password by a link, or an administrator set it.
    PasswordSet = "member.password_set";
    /// A role was made.
    RoleCreated = "role.created";
    /// A role, or what it permits, was changed.
    RoleUpdated = "role.updated";
    /// A role was deleted.
    RoleDeleted = "role.deleted";
    /// A role was given to somebody.
    RoleAssigned = "role.assigned";
    /// A role was taken from somebody.
    RoleUnassigned = "role.unassigned";
    /// A client was made.
    ClientCreated = "client.created";
    /// A client's settings were changed.
    ClientUpdated = "client.updated";
    /// A client was disabled.
    ClientDisabled = "client.disabled";
    /// A client was enabled again.
    ClientEnabled = "client.enabled";
    /// A client was made public or confidential.
    ClientTypeChanged = "client.type_changed";
    /// A client went to another owner.
    ClientTransferred = "client.transferred";
    /// A client was enabled in a further organization.
    EnablementAdded = "client.enablement_added";
    /// A client is enabled in an organization no more.
    EnablementRemoved = "client.enablement_removed";
    /// A client failed again and again within a while.
    ClientSustainedErrors = "client.sustained_errors";
    /// A client was held by its issue rate or by its number of live tokens.
    ClientLimitReached = "client.limit_reached";
    /// A client was deleted for good.
    ClientDeleted = "client.deleted";
    /// A secret was made beside those that a client has.
    SecretGenerated = "secret.generated";
    /// A secret was set that somebody had chosen.
    SecretChosen = "secret.chosen";
    /// One secret was revoked.
    SecretRevoked = "secret.revoked";
    /// Secrets of a client, or all in an organization, ought to be replaced.
    RotationDue = "secret.rotation_due";
    /// A secret was made and shown to the caller.
    SecretShown = "secret.shown";
    /// A client's secrets were replaced by a new one.
    SecretRotated = "secret.rotated";
    /// One access token was removed.
    TokenRemoved = "token.removed";
    /// Every access token was removed that a client had.
    ClientTokensRemoved = "client.tokens_removed";
    /// Every access token was removed by which clients acted for a member.
    MemberTokensRemoved = "member.tokens_removed";
    /// Every access token was removed that was issued in a tenant.
    TenantTokensRemoved = "tenant.tokens_removed";
    /// A resource server was made.
    ResourceServerCreated = "resource_server.created";
    /// Settings of a resource server, or who may introspect for it, were changed.
    ResourceServerUpdated = "resource_server.updated";
    /// A resource server was deleted with its scopes.
    ResourceServerDeleted = "resource_server.deleted";
    /// A scope was added to a resource server.
    ScopeAdded = "resource_server.scope_added";
    /// A scope of a resource server was described anew.
    ScopeUpdated = "resource_server.scope_updated";
    /// A scope was removed from a resource server.
    ScopeRemoved = "resource_server.scope_removed";
    /// A signing key was made.
    SigningKeyCreated = "signing_key.created";
    /// The signing key was replaced by a new one.
    SigningKeyRotated = "signing_key.rotated";
    /// The installation was restored from a backup, and nothing that was issued before is good any more.
    RestoreFenced = "platform.restore_fenced";
    /// Sealed values were sealed under the current master key.
    SealedAnew = "platform.sealed_anew";
    /// A person was erased from the log of record.
    PersonErased = "audit.person_erased";
    /// An authenticated caller was refused for lack of a permission.
    AccessRefused = "access.refused";
}

impl Action {
    /// Whether it changes what others may rest on, and so stands on the change feed as well. A single token is nothing
    /// that others rest on: it is looked up whenever it is used.
    pub const fn is_on_the_feed(self) -> bool {
        !matches!(
            self,
            Self::SecretShown
                | Self::TokenRemoved
                | Self::LinkShown
                | Self::SealedAnew
                | Self::PersonErased
                | Self::AccessRefused
        )
    }
}

/// What an event says of a person beyond their id. It is what an erasure takes away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// Their name.
    pub name: Option<PersonName>,
    /// Where they are written to.
    pub email: Option<EmailAddress>,
}

impl Person {
    /// The key under which particulars name a person.
    pub const KEY: &'static str = "person";

    /// Puts the person beside other particulars, in place of any other person there.
    #[must_use]
    pub fn beside(&self, mut particulars: Map<String, Value>) -> Value {
        let mut person = Map::new();
        let told = [
            ("name", self.name.as_ref().map(PersonName::as_str)),
            ("email", self.email.as_ref().map(EmailAddress::as_str)),
        ];
        for (key, text) in told {
            if let Some(text) = text {
                person.insert(key.to_owned(), text.into());
            }
        }
        particulars.insert(Self::KEY.to_owned(), person.into());
        particulars.into()
    }
}

/// One event for the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The tenant in whose log it stands.
    pub tenant: TenantId,
    /// What was done.
    pub action: Action,
    /// On what.
    pub target: Target,
    /// How the target was before; never with a secret, and with a person under [`Person::KEY`] alone.
    pub before: Option<Value>,
    /// How the target is now, or the particulars; the same holds for it.
    pub after: Option<Value>,
}

impl Event {
    /// An event without particulars.
    pub fn new(tenant: TenantId, action: Action, target: Target) -> Self {
        Self {
            tenant,
            action,
            target,
            before: None,
            after: None,
        }
    }

    /// An event whose particulars name a person, and nothing besides.
    pub fn about_person(tenant: TenantId, action: Action, target: Target, person: &Person) -> Self {
        Self::new(tenant, action, target).after(person.beside(Map::new()))
    }

    /// Adds how the target was before.
    #[must_use]
    pub fn before(mut self, before: Value) -> Self {
        self.before = Some(before);
        self
    }

    /// Adds how the target is now.
    #[must_use]
    pub fn after(mut self, after: Value) -> Self {
        self.after = Some(after);
        self
    }
}

/// At least one event. There is no way to make an empty one, so a change can't forget its event.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    first: Event,
    more: Vec<Event>,
}

impl Events {
    /// Adds a further event.
    #[must_use]
    pub fn and(mut self, event: Event) -> Self {
        self.more.push(event);
        self
    }

    /// Adds all of some further ones.
    #[must_use]
    pub fn then(mut self, further: Self) -> Self {
        self.more.push(further.first);
        self.more.extend(further.more);
        self
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

impl From<Event> for Events {
    fn from(first: Event) -> Self {
        Self {
            first,
            more: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_of_actions_are_unique() {
        let mut words: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }

    #[test]
    fn audit_2_a_person_stands_under_one_key_alone() {
        let person = Person {
            name: Some(PersonName::parse("Ada").unwrap()),
            email: Some(EmailAddress::parse("ada@example.com").unwrap()),
        };
        let tenant = TenantId::from_uuid(uuid::Uuid::nil());
        let about = |person| {
            Event::about_person(
                tenant,
                Action::TenantCreated,
                Target::Tenant(tenant),
                person,
            )
        };
        assert_eq!(
            about(&person).after,
            Some(json!({ "person": { "name": "Ada", "email": "ada@example.com" } }))
        );
        assert_eq!(
            about(&Person::default()).after,
            Some(json!({ "person": {} }))
        );
        let Value::Object(others) = json!({ "role": "admin", "person": "somebody else" }) else {
            panic!("an object");
        };
        assert_eq!(
            person.beside(others),
            json!({ "role": "admin", "person": { "name": "Ada", "email": "ada@example.com" } })
        );
    }

    #[test]
    fn versions_begin_at_one() {
        assert!(Action::ALL.iter().all(|action| action.version() >= 1));
    }

    #[test]
    fn a_version_is_declared_beside_the_word() {
        mod declared {
            actions! {
                /// As it began.
                Kept = "thing.kept";
                /// With other particulars than it had.
                Changed = "thing.changed", version 3;
            }
        }
        let versions: Vec<i32> = declared::Action::ALL.iter().map(|a| a.version()).collect();
        assert_eq!(versions, [1, 3]);
        assert_eq!(declared::Action::Changed.as_str(), "thing.changed");
    }
}
