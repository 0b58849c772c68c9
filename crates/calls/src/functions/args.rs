//! The arguments of a call: as they came, and one by one. Pure.

use bytes::{BufMut, BytesMut};
use wire::Json;

/// The arguments of a call.
#[derive(Debug, Clone)]
pub(crate) struct Args {
    /// The list of them.
    pub(crate) whole: Json,
    pub(crate) each: Vec<Json>,
    /// Whether there is the one argument alone, without a list around it.
    is_bare: bool,
}

/// What arguments are called where something is wrong with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    is_bare: bool,
}

impl Args {
    /// A list of arguments; `None` where it is no list.
    pub(crate) fn list(whole: Json) -> Option<Self> {
        let each = whole.elements()?;
        Some(Self {
            whole,
            each,
            is_bare: false,
        })
    }

    /// The one argument.
    pub(crate) fn one(value: Json) -> Self {
        let mut whole = BytesMut::with_capacity(value.bytes().len() + 2);
        whole.put_u8(b'[');
        whole.put_slice(value.bytes());
        whole.put_u8(b']');
        Self {
            whole: Json::parse(whole.freeze()).expect("a list of a value is a value"),
            each: vec![value],
            is_bare: true,
        }
    }

    /// No arguments.
    pub(crate) fn none() -> Self {
        Self {
            whole: Json::parse("[]".into()).expect("an empty list is a value"),
            each: Vec::new(),
            is_bare: false,
        }
    }

    pub(crate) fn names(&self) -> Names {
        Names { is_bare: self.is_bare }
    }
}

impl Names {
    /// Of the argument at this place.
    pub(crate) fn of(self, index: usize) -> String {
        if self.is_bare && index == 0 {
            String::new()
        } else {
            format!("args[{index}]")
        }
    }
}
