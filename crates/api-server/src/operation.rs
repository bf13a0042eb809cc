//! One operation of the API, declared once: the router, the checks before the handler and the OpenAPI
//! document are all made from this value, so they can't disagree.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;

use actix_web::http::Method;
use grantor_domain::audit::Action;
use grantor_domain::permission::Permission;

use crate::answer::{Answers, AnyAnswer};
use crate::call::Call;
use crate::problem::{Problem, ProblemCode};
use crate::requests::{Body, BodyShape, Filter, ListRules, RawBody};
use crate::schemas::SchemaOf;

/// What an operation demands of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A permission in the tenant that the path names, which must be the caller's own.
    InTenant(Permission),
    /// The same over the root organization: for what tells of the whole tenant.
    OverWholeTenant(Permission),
    /// A permission in the caller's own tenant, for what is of the platform; no tenant is named. Mostly operators
    /// alone hold it.
    OnPlatform(Permission),
    /// A permission of operators, for any tenant that the path names.
    OnAnyTenant(Permission),
    /// To belong to the tenant that the path names. What it does further needs is checked as it comes up.
    Membership,
    /// A good token, whoever's it is.
    KnownCaller,
}

impl Needs {
    /// The permission, if a single one decides.
    pub fn permission(self) -> Option<Permission> {
        match self {
            Self::InTenant(permission)
            | Self::OverWholeTenant(permission)
            | Self::OnPlatform(permission)
            | Self::OnAnyTenant(permission) => Some(permission),
            Self::Membership | Self::KnownCaller => None,
        }
    }
}

/// The chapters of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Who calls, and what they may do.
    Me,
    /// The customer organisations.
    Tenants,
    /// The tree in which everything of a tenant lies.
    Organizations,
    /// The users of a tenant.
    Members,
    /// What members and clients may do.
    Roles,
    /// What holds OAuth credentials.
    Clients,
    /// Their credentials.
    Secrets,
    /// The access tokens that clients were issued.
    Tokens,
    /// The APIs whose tokens are issued.
    ResourceServers,
    /// The log of record.
    Audit,
    /// The change feed.
    Changes,
    /// Many operations in one request.
    Bulk,
}

impl Tag {
    /// All of them, in the order of the reference.
    pub const ALL: &[Self] = &[
        Self::Me,
        Self::Tenants,
        Self::Organizations,
        Self::Members,
        Self::Roles,
        Self::Clients,
        Self::Secrets,
        Self::Tokens,
        Self::ResourceServers,
        Self::Bulk,
        Self::Changes,
        Self::Audit,
    ];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Me => "Me",
            Self::Tenants => "Tenants",
            Self::Organizations => "Organizations",
            Self::Members => "Members",
            Self::Roles => "Roles",
            Self::Clients => "Clients",
            Self::Secrets => "Secrets",
            Self::Tokens => "Tokens",
            Self::ResourceServers => "Resource servers",
            Self::Bulk => "Bulk",
            Self::Changes => "Changes",
            Self::Audit => "Audit",
        }
    }

    /// What it is about.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Me => "Who calls, and what they may do where.",
            Self::Tenants => {
                "The customer organisations, for operators; and a tenant's own settings."
            }
            Self::Organizations => {
                "The tree of a tenant: its root organization and the business groups below it."
            }
            Self::Members => "The users of a tenant, how they get in, and which roles they hold.",
            Self::Roles => "Named sets of permissions: those that every tenant has, and its own.",
            Self::Clients => "What holds OAuth credentials in a tenant.",
            Self::Secrets => "The credentials of confidential clients.",
            Self::Tokens => {
                "Live access tokens: of a client, of a member, one's own; listed, and removed one by one or all at once."
            }
            Self::ResourceServers => {
                "The APIs whose tokens are issued, a tenant's own and platform-wide ones, and the scopes of their tokens."
            }
            Self::Bulk => "Many operations in one request, each with a result of its own.",
            Self::Changes => "What has changed, in the order in which it was committed.",
            Self::Audit => "The log of record: who did what, on what, from where.",
        }
    }
}

/// The status of an answer that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    /// 200.
    Ok,
    /// 201, with `Location`.
    Created,
    /// 204.
    NoContent,
    /// 201 when it was made, 200 when it was there.
    CreatedOrOk,
}

/// A parameter of the query beside those of lists.
#[derive(Debug, Clone, Copy)]
pub struct QueryParameter {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// Its most characters.
    pub max_length: usize,
    /// What it is for.
    pub about: &'static str,
    /// One that would do.
    pub example: &'static str,
}

type Handler =
    Rc<dyn Fn(Call, RawBody) -> Pin<Box<dyn Future<Output = Result<AnyAnswer, Problem>>>>>;

/// An operation. Cheap to clone.
#[derive(Clone)]
pub struct Operation {
    /// What holds of it.
    pub facts: Rc<Facts>,
    handler: Handler,
}

/// What an operation is declared to be.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, true or not of any operation"
)]
pub struct Facts {
    /// Its name for programs, as in `createClient`.
    pub id: &'static str,
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// Its chapter.
    pub tag: Tag,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else there is to know.
    pub description: &'static str,
    /// What it demands of its caller.
    pub needs: Needs,
    /// Whether it stops something: then it goes through however crowded the connections are.
    pub urgent: bool,
    /// Whether it changes something that exists, whose state `If-Match` may name.
    pub conditional: bool,
    /// Whether it answers with server-sent events when asked to.
    pub streams: bool,
    /// Whether its answer names the state of a thing in `ETag`.
    pub tagged: bool,
    /// Whether its answer tells besides of what changes without that state, and so is always given whole.
    pub live: bool,
    /// With which permission operators may do it in any tenant beside their own (`role_2`).
    pub open_to_operators: Option<Permission>,
    /// Further parameters of its query.
    pub query: &'static [QueryParameter],
    /// How its list is filtered and sorted.
    pub list: Option<&'static ListRules>,
    /// The body that it takes.
    pub body: Option<BodyShape>,
    /// The body that it answers with; none goes with 204.
    pub answer: Option<SchemaOf>,
    /// The status when it goes well.
    pub success: Success,
    /// The events that it leaves in the log of record.
    pub records: &'static [Action],
    /// What it can fail with, beside what follows from the rest.
    pub fails: &'static [ProblemCode],
}

impl Facts {
    /// Whether it changes anything.
    pub fn is_change(&self) -> bool {
        self.method != Method::GET
    }

    /// The filters of its list.
    pub fn filters(&self) -> &'static [Filter] {
        self.list.map_or(&[], |rules| rules.filters)
    }

    /// The parameters in its path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

impl Operation {
    /// Runs the handler.
    pub async fn handle(&self, call: Call, body: RawBody) -> Result<AnyAnswer, Problem> {
        (self.handler)(call, body).await
    }

    /// Declares an operation that reads.
    pub fn get(id: &'static str, path: &'static str) -> Draft<NoBody, ()> {
        Draft::new(Method::GET, id, path)
    }

    /// Declares an operation that makes something, or does what has a verb.
    pub fn post(id: &'static str, path: &'static str) -> Draft<NoBody, ()> {
        Draft::new(Method::POST, id, path)
    }

    /// Declares an operation that makes something be as given.
    pub fn put(id: &'static str, path: &'static str) -> Draft<NoBody, ()> {
        Draft::new(Method::PUT, id, path)
    }

    /// Declares an operation that changes the fields given, and no other.
    pub fn patch(id: &'static str, path: &'static str) -> Draft<NoBody, ()> {
        Draft::new(Method::PATCH, id, path)
    }

    /// Declares an operation that removes something.
    pub fn delete(id: &'static str, path: &'static str) -> Draft<NoBody, ()> {
        Draft::new(Method::DELETE, id, path)
    }
}

/// Takes no body.
pub struct NoBody;
/// Takes a body of this kind.
pub struct Takes<B>(PhantomData<B>);

/// An operation whose declaration is under way. `B` is what it takes, `A` what it answers.
pub struct Draft<B, A> {
    facts: Facts,
    types: PhantomData<(B, A)>,
}

impl Draft<NoBody, ()> {
    fn new(method: Method, id: &'static str, path: &'static str) -> Self {
        Self {
            facts: Facts {
                id,
                method,
                path,
                tag: Tag::Tenants,
                summary: "",
                description: "",
                needs: Needs::Membership,
                urgent: false,
                conditional: false,
                streams: false,
                tagged: false,
                live: false,
                open_to_operators: None,
                query: &[],
                list: None,
                body: None,
                answer: None,
                success: Success::NoContent,
                records: &[],
                fails: &[],
            },
            types: PhantomData,
        }
    }
}

impl<B, A> Draft<B, A> {
    fn with(mut self, set: impl FnOnce(&mut Facts)) -> Self {
        set(&mut self.facts);
        self
    }

    fn retyped<C, D>(self) -> Draft<C, D> {
        Draft {
            facts: self.facts,
            types: PhantomData,
        }
    }

    /// Its chapter, what it does in a few words, and what else there is to know.
    #[must_use]
    pub fn about(self, tag: Tag, summary: &'static str, description: &'static str) -> Self {
        self.with(|facts| {
            facts.tag = tag;
            facts.summary = summary;
            facts.description = description;
        })
    }

    /// The permission that it needs in the tenant that its path names.
    #[must_use]
    pub fn needs(self, permission: Permission) -> Self {
        self.with(|facts| facts.needs = Needs::InTenant(permission))
    }

    /// The permission that it needs over the whole of the tenant that its path names.
    #[must_use]
    pub fn needs_over_whole_tenant(self, permission: Permission) -> Self {
        self.with(|facts| facts.needs = Needs::OverWholeTenant(permission))
    }

    /// The permission that it needs, held in whichever tenant is the caller's own.
    #[must_use]
    pub fn needs_on_platform(self, permission: Permission) -> Self {
        self.with(|facts| facts.needs = Needs::OnPlatform(permission))
    }

    /// The permission of operators that it needs, whichever tenant the path names.
    #[must_use]
    pub fn needs_on_any_tenant(self, permission: Permission) -> Self {
        self.with(|facts| facts.needs = Needs::OnAnyTenant(permission))
    }

    /// Nothing but a good token.
    #[must_use]
    pub fn needs_a_known_caller(self) -> Self {
        self.with(|facts| facts.needs = Needs::KnownCaller)
    }

    /// Operators with this permission may do it in any tenant.
    #[must_use]
    pub fn open_to_operators(self, permission: Permission) -> Self {
        self.with(|facts| facts.open_to_operators = Some(permission))
    }

    /// It stops something, and goes through however crowded the connections are.
    #[must_use]
    pub fn urgent(self) -> Self {
        self.with(|facts| facts.urgent = true)
    }

    /// It changes something that exists, whose state `If-Match` may name.
    #[must_use]
    pub fn conditional(self) -> Self {
        self.with(|facts| facts.conditional = true)
    }

    /// It answers with server-sent events when asked to.
    #[must_use]
    pub fn streams(self) -> Self {
        self.with(|facts| facts.streams = true)
    }

    /// Further parameters of its query.
    #[must_use]
    pub fn query(self, parameters: &'static [QueryParameter]) -> Self {
        self.with(|facts| facts.query = parameters)
    }

    /// It is a list, filtered and sorted so.
    #[must_use]
    pub fn lists(self, rules: &'static ListRules) -> Self {
        self.with(|facts| facts.list = Some(rules))
    }

    /// The events that it leaves in the log of record.
    #[must_use]
    pub fn records(self, actions: &'static [Action]) -> Self {
        self.with(|facts| facts.records = actions)
    }

    /// What it can fail with, beside what follows from the rest.
    #[must_use]
    pub fn may_fail(self, codes: &'static [ProblemCode]) -> Self {
        self.with(|facts| facts.fails = codes)
    }

    /// The body that it takes.
    #[must_use]
    pub fn takes<C: Body>(self) -> Draft<Takes<C>, A> {
        self.with(|facts| facts.body = Some(C::shape())).retyped()
    }

    /// The body that it answers with.
    #[must_use]
    pub fn answers<C: utoipa::ToSchema>(self, success: Success) -> Draft<B, C> {
        self.with(|facts| {
            facts.success = success;
            facts.answer = Some(SchemaOf::new::<C>());
        })
        .retyped()
    }

    /// Its answer names the state of the thing in `ETag`.
    #[must_use]
    pub fn tagged(self) -> Self {
        self.with(|facts| facts.tagged = true)
    }

    /// Its answer tells besides of what changes without that state: it is given whole, whatever the caller knows.
    #[must_use]
    pub fn live(self) -> Self {
        self.with(|facts| facts.live = true)
    }
}

impl<A: 'static> Draft<NoBody, A> {
    /// The function that does it.
    pub fn by<F, R, O>(self, handler: F) -> Operation
    where
        F: Fn(Call) -> R + 'static,
        R: Future<Output = Result<O, Problem>> + 'static,
        O: Answers<A>,
    {
        Operation {
            facts: Rc::new(self.facts),
            handler: Rc::new(move |call, _| {
                let answering = handler(call);
                Box::pin(async move { Ok(answering.await?.into()) })
            }),
        }
    }
}

impl<B: Body, A: 'static> Draft<Takes<B>, A> {
    /// The function that does it.
    pub fn by<F, R, O>(self, handler: F) -> Operation
    where
        F: Fn(Call, B) -> R + 'static,
        R: Future<Output = Result<O, Problem>> + 'static,
        O: Answers<A>,
    {
        Operation {
            facts: Rc::new(self.facts),
            handler: Rc::new(move |call, body| {
                let answering = B::read(&body).map(|body| handler(call, body));
                Box::pin(async move { Ok(answering?.await?.into()) })
            }),
        }
    }
}
