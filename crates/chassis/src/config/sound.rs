//! What is left of a configuration without its wrong values, so that its own rules can be checked in the same round.
//!
//! Nothing is ever started from it. A finding about a place where something was taken out is not to be trusted, and is
//! dropped: it may be a consequence.

use serde_json::Value;

use super::{
    Config, Findings,
    findings::Remark,
    path::{Path, Step},
};

/// How often more may be taken out where the rest still does not deserialise.
const ROUNDS: usize = 16;

/// What the rules of `T` find in `value` without what stands at the `wrong` paths.
pub(super) fn remarks<T: Config>(mut value: Value, mut wrong: Vec<Path>) -> Vec<Remark> {
    for path in &wrong {
        take_out(&mut value, path.steps());
    }
    for _ in 0..ROUNDS {
        let error = match serde_path_to_error::deserialize::<_, T>(value.clone()) {
            Ok(sound) => {
                let mut findings = Findings::default();
                sound.check(&mut findings);
                let remarks = findings.into_remarks().into_iter();
                return remarks
                    .filter(|remark| !wrong.iter().any(|path| related(path, &remark.path)))
                    .collect();
            }
            Err(error) => error,
        };
        let path = Path::of(error.path());
        if path.is_root() {
            break;
        }
        take_out(&mut value, path.steps());
        wrong.push(path);
    }
    Vec::new()
}

/// Removes the key at a path; a path into a list removes the list, whose other items would change places.
fn take_out(value: &mut Value, path: &[Step]) {
    let Some((Step::Key(key), rest)) = path.split_first() else {
        return;
    };
    let Value::Object(members) = value else { return };
    match (members.get_mut(key), rest.first()) {
        (Some(below), Some(Step::Key(_))) if below.is_object() => take_out(below, rest),
        _ => drop(members.remove(key)),
    }
}

fn related(one: &Path, other: &Path) -> bool {
    one.steps().starts_with(other.steps()) || other.steps().starts_with(one.steps())
}
