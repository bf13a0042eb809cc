//! Reading an OpenAPI document that may hold anything: what is not as the standard says counts as absent.

use serde_json::{Map, Value};

/// How often a reference may lead to another one.
const REFERENCE_LIMIT: usize = 8;

/// The methods of a path, in the order in which they are shown.
const METHODS: [&str; 8] = [
    "get", "post", "put", "patch", "delete", "head", "options", "trace",
];

/// An OpenAPI document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document<'a> {
    root: &'a Value,
}

/// One operation, with what its path says for all of its operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    pub(crate) item: &'a Value,
    pub(crate) value: &'a Value,
}

/// Operations under one tag.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// The tag's name, or none for the operations without a tag.
    pub(crate) tag: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) operations: Vec<Operation<'a>>,
}

impl<'a> Document<'a> {
    /// Takes any JSON as a document.
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// The document itself.
    pub(crate) fn root(self) -> &'a Value {
        self.root
    }

    /// What a reference within the document leads to; all else is returned as it is.
    ///
    /// A reference that leads nowhere, elsewhere or in a circle is returned itself.
    pub(crate) fn resolve(self, value: &'a Value) -> &'a Value {
        let mut found = value;
        for _ in 0..REFERENCE_LIMIT {
            let Some(reference) = text(found, "$ref") else {
                return found;
            };
            match reference
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer))
            {
                Some(next) => found = next,
                None => return value,
            }
        }
        value
    }

    /// The components of a kind, such as `schemas`.
    pub(crate) fn components(
        self,
        kind: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let components = self.root.get("components").unwrap_or(&Value::Null);
        entries(components, kind)
    }

    /// The operations by their first tag: the tags in the document's order, then those that it doesn't list, then
    /// the operations without one.
    pub(crate) fn groups(self) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = list(self.root, "tags")
            .iter()
            .filter_map(|tag| {
                Some(Group {
                    tag: Some(text(tag, "name")?),
                    description: text(tag, "description"),
                    operations: Vec::new(),
                })
            })
            .collect();
        let mut without = Vec::new();
        for operation in self.operations() {
            let tags = list(operation.value, "tags");
            let Some(tag) = tags.first().and_then(Value::as_str) else {
                without.push(operation);
                continue;
            };
            if let Some(group) = groups.iter_mut().find(|group| group.tag == Some(tag)) {
                group.operations.push(operation);
            } else {
                groups.push(Group {
                    tag: Some(tag),
                    description: None,
                    operations: vec![operation],
                });
            }
        }
        groups.push(Group {
            tag: None,
            description: None,
            operations: without,
        });
        groups.retain(|group| !group.operations.is_empty());
        groups
    }

    fn operations(self) -> impl Iterator<Item = Operation<'a>> {
        entries(self.root, "paths").flat_map(move |(path, item)| {
            let item = self.resolve(item);
            METHODS.into_iter().filter_map(move |method| {
                let value = item.get(method).filter(|value| value.is_object())?;
                Some(Operation {
                    method,
                    path,
                    item,
                    value,
                })
            })
        })
    }
}

impl<'a> Operation<'a> {
    /// What the operation is called in links: its `operationId`, or else method and path.
    pub(crate) fn name(&self) -> String {
        text(self.value, "operationId")
            .map_or_else(|| format!("{} {}", self.method, self.path), str::to_owned)
    }

    /// What the operation is called in headings.
    pub(crate) fn heading(&self) -> String {
        text(self.value, "summary").map_or_else(|| self.name(), str::to_owned)
    }

    /// The parameters; one of the operation's own stands for the path's of the same name and place.
    pub(crate) fn parameters(&self, document: Document<'a>) -> Vec<&'a Value> {
        let own: Vec<&Value> = list(self.value, "parameters")
            .iter()
            .map(|parameter| document.resolve(parameter))
            .collect();
        let key = |parameter: &'a Value| (text(parameter, "name"), text(parameter, "in"));
        let mut all: Vec<&Value> = list(self.item, "parameters")
            .iter()
            .map(|parameter| document.resolve(parameter))
            .filter(|parameter| !own.iter().any(|other| key(other) == key(parameter)))
            .collect();
        all.extend(own);
        all
    }
}

/// A text of an object.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// A yes or no of an object, where absent means no.
pub(crate) fn flag(value: &Value, key: &str) -> bool {
    value.get(key) == Some(&Value::Bool(true))
}

/// A list of an object, where absent means empty.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The entries of an object within an object, where absent means none.
pub(crate) fn entries<'a>(
    value: &'a Value,
    key: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    value
        .get(key)
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
        .map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Document;

    #[test]
    fn a_reference_leads_on_to_its_end_and_not_in_circles() {
        let root = json!({ "a": { "$ref": "#/b~1c" }, "b/c": { "x": 1 }, "d": { "$ref": "#/d" } });
        let document = Document::new(&root);
        assert_eq!(document.resolve(&root["a"]), &json!({ "x": 1 }));
        assert_eq!(document.resolve(&root["d"]), &root["d"]);
        let elsewhere = json!({ "$ref": "https://elsewhere.example/x.json" });
        assert_eq!(document.resolve(&elsewhere), &elsewhere);
    }

    #[test]
    fn groups_follow_the_tags_and_leave_no_operation_out() {
        let root = json!({
            "tags": [{ "name": "B" }, { "name": "Empty" }, { "name": "A" }],
            "paths": { "/x": {
                "post": { "tags": ["A"] }, "get": { "tags": ["B", "A"] },
                "put": { "tags": ["New"] }, "delete": {}, "parameters": [],
            } },
        });
        let groups: Vec<_> = Document::new(&root)
            .groups()
            .iter()
            .map(|group| {
                (
                    group.tag,
                    group
                        .operations
                        .iter()
                        .map(|o| o.method)
                        .collect::<Vec<_>>(),
                )
            })
            .collect::<Vec<_>>();
        assert_eq!(
            groups,
            [
                (Some("B"), vec!["get"]),
                (Some("A"), vec!["post"]),
                (Some("New"), vec!["put"]),
                (None, vec!["delete"]),
            ]
        );
    }

    #[test]
    fn an_operations_parameter_stands_for_the_paths() {
        let root = json!({ "paths": { "/{a}": {
            "parameters": [{ "name": "a", "in": "path" }, { "name": "b", "in": "query", "description": "path's" }],
            "get": { "parameters": [{ "name": "b", "in": "query", "description": "own" }] },
        } } });
        let document = Document::new(&root);
        let groups = document.groups();
        assert_eq!(
            groups[0].operations[0].parameters(document),
            [
                &json!({ "name": "a", "in": "path" }),
                &json!({ "name": "b", "in": "query", "description": "own" }),
            ]
        );
    }

    #[test]
    fn what_is_no_document_has_nothing() {
        for root in [
            json!(null),
            json!([1]),
            json!({ "paths": [], "tags": 3, "components": "x" }),
        ] {
            let document = Document::new(&root);
            assert!(document.groups().is_empty());
            assert_eq!(document.components("schemas").count(), 0);
        }
    }
}
