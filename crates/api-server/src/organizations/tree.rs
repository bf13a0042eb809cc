//! The tree of organizations as one answer.

use std::collections::{BTreeMap, BTreeSet};

use grantor_domain::access::Reach;
use grantor_domain::ids::OrganizationId;
use grantor_domain::organization::DEEPEST;
use grantor_domain::permission::Permission;
use grantor_storage::organizations::{self, Branch};
use serde::Serialize;
use utoipa::ToSchema;

use super::find;
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, QueryParameter, Success, Tag};
use crate::problem::Problem;

const TREE: &str = "/v1/tenants/{tenant}/organizations/tree";

const WHAT_OF_IT: &[QueryParameter] = &[
    QueryParameter {
        name: "root",
        required: false,
        max_length: 30,
        about: "The organization at the top. By default the highest that you see; there may be several.",
        example: "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
    },
    QueryParameter {
        name: "depth",
        required: false,
        max_length: 2,
        about: "How many levels, the top among them; by default all.",
        example: "2",
    },
];

/// The operation that reads the tree.
pub(super) fn operation() -> Operation {
    Operation::get("readOrganizationTree", TREE)
        .about(
            Tag::Organizations,
            "Read the tree of organizations",
            "What you see of it, siblings in the order of their names. Whoever manages several business groups sees \
             each of them as a tree of its own, and nothing of what lies above or beside.",
        )
        .needs(Permission::OrganizationsRead)
        .query(WHAT_OF_IT)
        .answers::<OrganizationTree>(Success::Ok)
        .by(read)
}

/// What is seen of the tree.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "tops": [{ "id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b", "name": "Acme", "has_more": false,
    "children": [{ "id": "org_01kb2q3r4s5t6v7w8x9y0z1a2c", "name": "Engineering", "has_more": true,
    "children": [] }] }] }))]
pub struct OrganizationTree {
    /// The highest organizations.
    tops: Vec<OrganizationNode>,
}

/// An organization in the tree.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrganizationNode {
    /// Its id.
    #[schema(value_type = String, example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: OrganizationId,
    /// Its name.
    #[schema(example = "Engineering")]
    name: String,
    /// Whether something lies below it that `depth` leaves out.
    has_more: bool,
    /// What lies right below it.
    #[schema(no_recursion)]
    children: Vec<OrganizationNode>,
}

async fn read(call: Call) -> Result<Answer<OrganizationTree>, Problem> {
    let root = call
        .query
        .get("root")
        .map(|id| {
            id.parse::<OrganizationId>()
                .map_err(|error| Problem::parameter("root", error))
        })
        .transpose()?;
    let depth = match call.query.get("depth").map(str::parse) {
        None => DEEPEST,
        Some(Ok(depth)) if (1..=DEEPEST).contains(&depth) => depth,
        Some(_) => {
            let detail = format!("must be a number from 1 to {DEEPEST}");
            return Err(Problem::parameter("depth", detail));
        }
    };
    let tops = call
        .read(move |tx, acting| {
            let tops = match root {
                Some(root) => vec![find(tx, acting, root)?.id],
                None => match acting.caller.tops(Permission::OrganizationsRead) {
                    Reach::Everything => vec![acting.caller.root],
                    Reach::Subtrees(tops) => tops.into_iter().collect(),
                },
            };
            // One level more tells what is left out. Of several tops one may lie far below another, which shows when
            // all is read.
            let levels = match tops.as_slice() {
                [_] => depth + 1,
                _ => DEEPEST,
            };
            let found = organizations::branches(tx, acting.tenant, &tops, levels)?;
            Ok(nested(found, depth))
        })
        .await?;
    Answer::ok(&OrganizationTree { tops })
}

/// Puts each organization under its parent. On top is what has none among them.
fn nested(found: Vec<Branch>, depth: usize) -> Vec<OrganizationNode> {
    let there: BTreeSet<OrganizationId> = found.iter().map(|branch| branch.id).collect();
    let mut below: BTreeMap<Option<OrganizationId>, Vec<Branch>> = BTreeMap::new();
    for branch in found {
        let parent = branch.parent.filter(|parent| there.contains(parent));
        below.entry(parent).or_default().push(branch);
    }
    nodes(&mut below, None, depth)
}

fn nodes(
    below: &mut BTreeMap<Option<OrganizationId>, Vec<Branch>>,
    parent: Option<OrganizationId>,
    depth: usize,
) -> Vec<OrganizationNode> {
    // No deeper than `depth`, which is bounded; and taken out, each is met once.
    below
        .remove(&parent)
        .unwrap_or_default()
        .into_iter()
        .map(|branch| OrganizationNode {
            id: branch.id,
            name: branch.name.to_string(),
            has_more: depth <= 1 && below.contains_key(&Some(branch.id)),
            children: if depth <= 1 {
                Vec::new()
            } else {
                nodes(below, Some(branch.id), depth - 1)
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use grantor_domain::text::OrganizationName;
    use uuid::Uuid;

    use super::*;

    fn branch(id: u128, parent: u128) -> Branch {
        let id_of = |number| OrganizationId::from_uuid(Uuid::from_u128(number));
        Branch {
            id: id_of(id),
            parent: (parent != 0).then(|| id_of(parent)),
            name: OrganizationName::parse(&id.to_string()).unwrap(),
        }
    }

    /// As in `1(2 3+)`: below 1 lie 2 and 3, and below 3 there is more.
    fn written(nodes: &[OrganizationNode]) -> String {
        let written: Vec<String> = nodes
            .iter()
            .map(|node| {
                let more = if node.has_more { "+" } else { "" };
                let children = match written(&node.children).as_str() {
                    "" => String::new(),
                    children => format!("({children})"),
                };
                format!("{}{more}{children}", node.name)
            })
            .collect();
        written.join(" ")
    }

    #[test]
    fn each_stands_under_its_parent_down_to_a_depth() {
        let all = || vec![branch(1, 0), branch(2, 1), branch(3, 1), branch(4, 3)];
        for (depth, wanted) in [
            (1, "1+"),
            (2, "1(2 3+)"),
            (3, "1(2 3(4))"),
            (32, "1(2 3(4))"),
        ] {
            assert_eq!(written(&nested(all(), depth)), wanted);
        }
        assert_eq!(written(&nested(Vec::new(), 32)), "");
    }

    #[test]
    fn what_lies_above_is_not_told_and_one_top_below_another_comes_once() {
        let found = || vec![branch(2, 1), branch(4, 2), branch(7, 9), branch(5, 4)];
        assert_eq!(written(&nested(found(), 32)), "2(4(5)) 7");
        assert_eq!(written(&nested(found(), 2)), "2(4+) 7");
    }
}
