//! All functions of the moment, made of where they come from and of what handlers have said. Pure.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::Arc,
};

use tracing::warn;
use wire::FunctionInfo;

use super::{Contract, Function, Path, Source, Target, kebab, names::is_name, source::Heard};
use crate::{config::PACKAGE, telemetry::Telemetry};

/// All functions of the moment.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Where the functions come from; the first ones win.
    sources: Vec<Arc<Source>>,
    /// By package and name.
    functions: BTreeMap<(String, String), Arc<Function>>,
    paths: HashMap<String, Arc<Function>>,
}

/// What a name means.
#[derive(Debug)]
pub(super) enum Named<'t> {
    One(&'t Arc<Function>),
    /// It stands in several packages.
    Several,
    None,
}

impl Table {
    /// Makes the table. Functions that stood in `before` keep their places: calls under way still count.
    pub(super) fn new(sources: Vec<Arc<Source>>, before: &Self, telemetry: &Telemetry) -> Self {
        let mut found = BTreeMap::new();
        for source in &sources {
            for mut function in functions_of(source, telemetry) {
                let key = (function.package.clone(), function.name.clone());
                if let Some(known) = before
                    .functions
                    .get(&key)
                    .filter(|known| Arc::ptr_eq(&known.source, source))
                {
                    function.limit = known.limit.clone();
                }
                match found.entry(key) {
                    Entry::Vacant(place) => {
                        place.insert(function);
                    }
                    Entry::Occupied(taken) => {
                        let (package, function) = taken.key();
                        warn!(package, function, "a function stands twice, the first one is served");
                    }
                }
            }
        }
        let mut times: HashMap<String, usize> = HashMap::new();
        for function in found.values() {
            *times.entry(kebab(&function.name)).or_default() += 1;
        }
        let (mut functions, mut paths) = (BTreeMap::new(), HashMap::new());
        for (key, mut function) in found {
            let short = kebab(&function.name);
            let path = match (&function.route, times.get(&short)) {
                (Some(route), _) => route.clone(),
                (None, Some(2..)) => format!("/{}/{short}", kebab(&function.package)),
                (None, _) => format!("/{short}"),
            };
            let is_free = Path::own(&path).is_none() && !paths.contains_key(&path);
            function.path = is_free.then(|| path.clone());
            let function = Arc::new(function);
            if is_free {
                paths.insert(path, Arc::clone(&function));
            } else {
                warn!(
                    function = function.full_name(),
                    path, "the path is taken, the function is called by `/invoke` alone"
                );
            }
            functions.insert(key, function);
        }
        Self {
            sources,
            functions,
            paths,
        }
    }

    /// Where its functions come from.
    pub(super) fn sources(&self) -> &[Arc<Source>] {
        &self.sources
    }

    /// All functions, by package and name.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &Function> {
        self.functions.values().map(|function| &**function)
    }

    /// The function with this path.
    pub(super) fn by_path(&self, path: &str) -> Option<&Arc<Function>> {
        self.paths.get(path)
    }

    /// The function with this name; without its package it has to be in one alone.
    pub(super) fn by_name(&self, package: Option<&str>, name: &str) -> Named<'_> {
        if let Some(package) = package {
            let found = self.functions.get(&(package.to_owned(), name.to_owned()));
            return found.map_or(Named::None, Named::One);
        }
        let mut all = self.functions.values().filter(|function| function.name == name);
        match (all.next(), all.next()) {
            (Some(only), None) => Named::One(only),
            (Some(_), Some(_)) => Named::Several,
            (None, _) => Named::None,
        }
    }

    /// Whether there is anything in this package.
    pub(super) fn has_package(&self, package: &str) -> bool {
        self.functions.keys().any(|(of, _)| of == package)
    }
}

/// The functions of one entry, as far as they are known.
fn functions_of(source: &Arc<Source>, telemetry: &Telemetry) -> Vec<Function> {
    let config = &source.config;
    let heard = source.heard();
    let said: &[FunctionInfo] = match &heard {
        Heard::Hello(hello) => &hello.functions,
        Heard::Nothing | Heard::Silence => &[],
    };
    let make = |package: &str, name: &str, contract: Result<Contract, String>, is_told: bool| match contract {
        Ok(contract) => Some(Function::new(package, name, contract, source, is_told, telemetry)),
        Err(why) => {
            warn!(
                package,
                function = name,
                why,
                "a function with a contract that cannot be read is not served"
            );
            None
        }
    };
    let is_actor = matches!(source.target, Target::Actor { .. });
    if let Some(name) = &config.name {
        let package = config.package();
        let contract = if is_actor {
            Contract::of_actor(Some(config))
        } else {
            let is_it =
                |info: &&FunctionInfo| info.name == *name && info.package.as_deref().is_none_or(|of| of == package);
            Contract::new(Some(config), said.iter().find(is_it))
        };
        return make(package, name, contract, !is_actor).into_iter().collect();
    }
    let mut all = Vec::new();
    for info in said {
        let package = config.package.as_deref().or(info.package.as_deref()).unwrap_or(PACKAGE);
        if is_name(package) && is_name(&info.name) {
            let contract = match (Contract::new(None, Some(info)), is_actor) {
                (Ok(contract), true) if contract.parameters.is_none() => Contract::of_actor(None),
                (contract, _) => contract,
            };
            all.extend(make(package, &info.name, contract, true));
        } else {
            warn!(
                package,
                function = info.name,
                "a function with a name that none may have is not served"
            );
        }
    }
    // An actor that says nothing of its functions is one.
    if let (Target::Actor { name, .. }, true, false) = (&source.target, said.is_empty(), source.is_unheard()) {
        all.extend(make(config.package(), name, Contract::of_actor(None), false));
    }
    all
}
