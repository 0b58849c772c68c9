//! `outrigger check`: everything that is wrong with a configuration, at once.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use calls::Calls;
use chassis::config::{Finding, Loaded, mask_urls};
use signals::Signals;

use crate::{
    cli::Output,
    config::{self, Root},
    exit::{Code, Failure},
    human,
    output::{print, print_json},
    terminal,
};

/// Checks a configuration and what it would meet on this machine.
///
/// Exit 0 where nothing is wrong but maybe something odd, 78 otherwise.
pub fn check(file: Option<&Path>, environment: &BTreeMap<String, String>, output: Output) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(file, environment) {
        Ok(loaded) => loaded,
        Err(error) if output.json() => {
            print_json(&error.findings())?;
            return Ok(Code::Config.into());
        }
        Err(error) => return Err(error.into()),
    };
    if loaded.file.is_none() && loaded.value == Root::default() {
        let failure = Failure::new(
            Code::NoInput,
            "there is no outrigger.yaml here, and nothing in the environment",
        );
        return Err(failure
            .help("name a file, or make a folder that has one with `outrigger init DIR`")
            .into());
    }
    let survey = config::survey(&loaded, environment);
    if output.json() {
        let all: Vec<&Finding> = loaded.warnings.findings().iter().chain(survey.findings()).collect();
        print_json(&all)?;
    } else {
        let colour = terminal::stderr_colour();
        eprint!("{}{}", loaded.warnings.render(colour), survey.render(colour));
        print(format!("{}\n", summary(&loaded)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One line: where the configuration came from and what it declares.
fn summary(loaded: &Loaded<Root>) -> String {
    let root = &loaded.value;
    let file = loaded
        .file
        .as_deref()
        .map_or("the environment".into(), Path::to_string_lossy);
    if let Some(signals) = root.signals()
        && root.actors.is_empty()
        && root.calls.is_none()
    {
        let tests = human::count(signals.tests.len(), "routing test");
        return format!("ok: {file}: signals, {}, {tests}", backends(&signals));
    }
    if let Some(calls) = root.calls.as_ref().filter(|_| root.actors.is_empty()) {
        let signals = root
            .signals()
            .map(|signals| format!(", signals to {}", backends(&signals)));
        return format!("ok: {file}: {}{}", functions(calls), signals.unwrap_or_default());
    }
    let names: Vec<&String> = root.actors.keys().collect();
    let actors = match names.len() {
        0 => "no actors".to_owned(),
        number => format!("{} {}", human::count(number, "actor"), human::list(&names)),
    };
    let signals = root
        .signals()
        .map(|signals| format!(", signals to {}", backends(&signals)));
    let calls = root.calls.as_ref().map(|calls| format!(", {}", functions(calls)));
    format!(
        "ok: {file}: {actors}, queue `{}`, ends `{}` and `{}`{}{}",
        mask_urls(&root.queue),
        root.queue_of(root.ends.happy_name()),
        root.error_end(),
        calls.unwrap_or_default(),
        signals.unwrap_or_default(),
    )
}

/// What can be called, and where.
fn functions(calls: &Calls) -> String {
    let names: Vec<&String> = calls
        .functions
        .declared()
        .filter_map(|(_, function)| function.name.as_ref())
        .collect();
    let others = calls.functions.declared().count() - names.len();
    let known = match names.len() {
        0 => "functions".to_owned(),
        number => format!("{} {}", human::count(number, "function"), human::list(&names)),
    };
    let more = match others {
        0 => String::new(),
        number => format!(" and those of {}", human::count(number, "handler")),
    };
    let upstreams: Vec<&String> = calls.upstreams.keys().collect();
    let upstreams = (!upstreams.is_empty()).then(|| {
        format!(
            "{} {}",
            human::count(upstreams.len(), "upstream"),
            human::list(&upstreams)
        )
    });
    let what = match upstreams {
        Some(upstreams) if names.is_empty() && others == 0 => upstreams,
        Some(upstreams) => format!("{known}{more}, {upstreams}"),
        None => format!("{known}{more}"),
    };
    let addresses: Vec<String> = calls.listen.iter().map(ToString::to_string).collect();
    format!("{what} on {}", human::list(&addresses))
}

/// Which backends signals have.
fn backends(signals: &Signals) -> String {
    let names: Vec<&String> = signals.backends.keys().collect();
    match names.len() {
        0 => "no backends".to_owned(),
        number => format!("{} {}", human::count(number, "backend"), human::list(&names)),
    }
}
