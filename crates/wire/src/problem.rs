//! The error answer of our HTTP edges: RFC 9457 problem details.
//!
//! Data only. The one rule: every problem of ours has a `code`, and its `type` names the page in
//! `docs/problems/` that says what to do about it. Turning it into a response is left to whoever has the server.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An RFC 9457 problem; sent as [`Problem::MEDIA_TYPE`].
///
/// Reading is lenient: whatever a foreign server leaves out has its default, unknown members are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI reference that names the kind of problem; ours is `docs/problems/{code}`. `about:blank` when absent.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// What kind of problem it is, the same words each time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The HTTP status it was sent with; 0 when a foreign problem does not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub status: u16,
    /// What happened this time, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// A URI reference to this occurrence: a path, a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Our short name for the kind, for programs: `not_found`. Empty in problems of others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Extension members: whatever else the answer carries.
    #[serde(flatten)]
    pub extensions: Map<String, Value>,
}

impl Problem {
    /// The media type of a problem in JSON.
    pub const MEDIA_TYPE: &str = "application/problem+json";

    /// A problem of ours: `code` is its short name and the name of its page, `title` the same words each time.
    pub fn new(status: u16, code: impl Into<String>, title: impl Into<String>) -> Self {
        let code = code.into();
        Self {
            kind: format!("{PAGES}{code}"),
            title: title.into(),
            status,
            code,
            ..Self::default()
        }
    }

    /// Says what happened this time.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names what it happened to.
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Adds an extension member.
    ///
    /// # Panics
    /// When `name` is one of the members that the standard (or `code`) has already taken: a JSON object with a name
    /// that stands twice is read differently by everyone.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        assert!(
            !TAKEN.contains(&name.as_str()),
            "problem member `{name}` is not an extension"
        );
        self.extensions.insert(name, value.into());
        self
    }
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(status: &u16) -> bool {
    *status == 0
}

/// Where the page of each code is.
const PAGES: &str = "docs/problems/";

/// Members that are no extensions.
const TAKEN: [&str; 6] = ["type", "title", "status", "detail", "instance", "code"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_stand_as_the_standard_spells_them_and_extensions_beside_them() {
        let problem = Problem::new(404, "not_found", "nothing has this address")
            .detail("no path `/x`")
            .instance("/x")
            .with("paths", json!(["/health"]));
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            json!({
                "type": "docs/problems/not_found", "title": "nothing has this address", "status": 404,
                "detail": "no path `/x`", "instance": "/x", "code": "not_found", "paths": ["/health"],
            })
        );
    }

    #[test]
    fn what_is_not_said_is_left_out() {
        let text = serde_json::to_string(&Problem::new(405, "a", "b")).unwrap();
        assert_eq!(
            text,
            r#"{"type":"docs/problems/a","title":"b","status":405,"code":"a"}"#
        );
    }

    #[test]
    fn a_round_trip_changes_nothing() {
        let problem = Problem::new(503, "c", "d")
            .with("retry", 3)
            .with("why", json!({"x": null}));
        let text = serde_json::to_string(&problem).unwrap();
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    }

    #[test]
    fn a_foreign_problem_is_read_with_defaults_and_its_own_members_kept() {
        let problem: Problem = serde_json::from_str(r#"{"title":"Too many","balance":30}"#).unwrap();
        assert_eq!(problem.kind, "about:blank");
        assert_eq!((problem.status, problem.code.as_str()), (0, ""));
        assert_eq!(problem.extensions["balance"], json!(30));
    }

    #[test]
    #[should_panic(expected = "`status` is not an extension")]
    fn a_standard_member_is_not_taken_as_an_extension() {
        let _ = Problem::new(400, "a", "b").with("status", 200);
    }
}
