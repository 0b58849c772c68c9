//! What an object asks for. Pure.

use serde::Deserialize;
use wire::Json;

use crate::functions::Args;

/// What an object asks for.
#[derive(Debug)]
pub(super) enum Request {
    Call(Box<Wish>),
    /// A call is taken back.
    Cancel(Id),
    /// It has another shape: why.
    Wrong {
        id: Option<Id>,
        why: String,
    },
}

/// A call that is asked for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) id: Option<Id>,
    pub(super) package: Option<String>,
    pub(super) function: String,
    pub(super) args: Args,
    pub(super) streaming: bool,
}

/// A caller's own name for a call: a string or an integer.
#[derive(Debug, Clone)]
pub(super) struct Id {
    /// As it was spelt.
    pub(super) spelt: Json,
    /// The same for all spellings of it.
    pub(super) key: Key,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Text(String),
    Number(String),
}

impl Request {
    pub(super) fn read(object: &Json) -> Self {
        #[derive(Deserialize)]
        struct Fields {
            id: Option<Json>,
            package: Option<Json>,
            function: Option<Json>,
            args: Option<Json>,
            streaming: Option<Json>,
            cancel: Option<Json>,
        }
        let fields: Fields = match object.read() {
            Ok(fields) => fields,
            Err(error) => {
                let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                return Self::Wrong { id: None, why };
            }
        };
        let id = match fields.id.as_ref().map(Id::read) {
            Some(None) => {
                let why = "`id` has to be a string or an integer".to_owned();
                return Self::Wrong { id: None, why };
            }
            id => id.flatten(),
        };
        if fields.cancel.as_ref().is_some_and(|cancel| cancel.as_str() == "true") {
            return match id {
                Some(id) => Self::Cancel(id),
                None => Self::Wrong {
                    id: None,
                    why: "a call is taken back by its `id`".to_owned(),
                },
            };
        }
        match Wish::read(fields.package, fields.function, fields.args, fields.streaming) {
            Ok(wish) => Self::Call(Box::new(Wish { id, ..wish })),
            Err(why) => Self::Wrong {
                id,
                why: why.to_owned(),
            },
        }
    }
}

impl Wish {
    fn read(
        package: Option<Json>,
        function: Option<Json>,
        args: Option<Json>,
        streaming: Option<Json>,
    ) -> Result<Self, &'static str> {
        let package = package.map(|package| package.read()).transpose();
        let function = function.ok_or("`function` is required")?.read();
        let args = args.ok_or("`args` is required, a list")?;
        let streaming = streaming.map(|streaming| streaming.read()).transpose();
        Ok(Self {
            id: None,
            package: package.map_err(|_| "`package` has to be a string")?,
            function: function.map_err(|_| "`function` has to be a string")?,
            args: Args::list(args).ok_or("`args` has to be a list")?,
            streaming: streaming
                .map_err(|_| "`streaming` has to be true or false")?
                .unwrap_or(false),
        })
    }
}

impl Id {
    /// `None` where it is neither a string nor an integer.
    fn read(spelt: &Json) -> Option<Self> {
        let text = spelt.as_str();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let key = if text.starts_with('"') {
            Key::Text(spelt.read().ok()?)
        } else if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Key::Number(text.to_owned())
        } else {
            return None;
        };
        Some(Self {
            spelt: spelt.clone(),
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Request {
        Request::read(&Json::parse(text.to_owned().into()).unwrap())
    }

    #[test]
    fn a_call_names_its_function_and_its_arguments() {
        let Request::Call(wish) =
            read(r#"{"id":"a","function":"f","package":"p","args":[1,2],"streaming":true,"more":1}"#)
        else {
            panic!("a call")
        };
        assert_eq!(
            (wish.function.as_str(), wish.package.as_deref(), wish.streaming),
            ("f", Some("p"), true)
        );
        assert_eq!(wish.args.each.len(), 2);
        let Request::Call(least) = read(r#"{"function":"f","args":[],"id":null,"package":null}"#) else {
            panic!("a call")
        };
        assert!(least.id.is_none() && least.package.is_none() && !least.streaming);
    }

    #[test]
    fn an_id_is_a_string_or_an_integer_and_stays_as_it_is_spelt() {
        for (spelt, same) in [("\"\\u0041\"", Key::Text("A".into())), ("-7", Key::Number("-7".into()))] {
            let Request::Cancel(id) = read(&format!("{{\"id\":{spelt},\"cancel\":true}}")) else {
                panic!("a cancel")
            };
            assert_eq!((id.spelt.as_str(), id.key), (spelt, same));
        }
        for wrong in ["1.5", "1e3", "[]", "true", "{}"] {
            let request = read(&format!("{{\"id\":{wrong},\"function\":\"f\",\"args\":[]}}"));
            assert!(matches!(request, Request::Wrong { id: None, .. }), "{wrong}");
        }
    }

    #[test]
    fn another_shape_keeps_its_id() {
        for text in [
            r#"{"id":1}"#,
            r#"{"id":1,"function":"f"}"#,
            r#"{"id":1,"function":7,"args":[]}"#,
            r#"{"id":1,"function":"f","args":{}}"#,
            r#"{"id":1,"function":"f","args":[],"streaming":1}"#,
            r#"{"id":1,"function":"f","args":[],"package":1}"#,
            r#"{"id":1,"cancel":false}"#,
        ] {
            assert!(matches!(read(text), Request::Wrong { id: Some(_), .. }), "{text}");
        }
        assert!(matches!(read(r#"{"cancel":true}"#), Request::Wrong { id: None, .. }));
        assert!(matches!(read(r#"{"id":1,"id":2}"#), Request::Wrong { .. }));
    }
}
