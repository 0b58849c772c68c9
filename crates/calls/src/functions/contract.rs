//! What a function takes and gives. Pure.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use wire::{FunctionInfo, Json};

use super::{Args, Flaw, Schema};
use crate::config::FunctionConfig;

/// What a function takes and gives.
#[derive(Debug, Clone)]
pub(crate) struct Contract {
    /// `None` where nobody has declared any: then anything is taken.
    pub(crate) parameters: Option<Vec<Parameter>>,
    pub(crate) result: Option<Schema>,
    /// Whether it gives its result in pieces.
    pub(crate) streaming: bool,
}

/// What a function takes at one place.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) schema: Schema,
}

impl Contract {
    /// What the configuration says, and where it does not, the handler's hello.
    ///
    /// # Errors
    /// A schema is none: which, and why.
    pub(crate) fn new(config: Option<&FunctionConfig>, hello: Option<&FunctionInfo>) -> Result<Self, String> {
        let declared = config.and_then(|config| config.args.as_ref()).map(|args| {
            let all = args.iter().map(|arg| (arg.name.clone(), arg.schema.clone()));
            all.collect::<Vec<_>>()
        });
        let said = || {
            hello
                .and_then(|info| info.args.as_ref())
                .map(said_parameters)
                .transpose()
        };
        let parameters = match declared {
            Some(declared) => Some(declared),
            None => said()?,
        };
        let parameters = parameters
            .map(|all| all.into_iter().map(Parameter::new).collect())
            .transpose()?;
        let declared = config.and_then(|config| config.result.clone());
        let said = || hello.and_then(|info| info.result.as_ref()?.read::<Value>().ok());
        let result = declared.or_else(said).map(|schema| Schema::new(&schema));
        let streaming = config.and_then(|config| config.streaming);
        Ok(Self {
            parameters,
            result: result.transpose().map_err(|why| format!("its result: {why}"))?,
            streaming: streaming.or(hello.and_then(|info| info.streaming)).unwrap_or(false),
        })
    }

    /// The contract of an actor: one argument, its payload.
    pub(crate) fn of_actor(config: Option<&FunctionConfig>) -> Result<Self, String> {
        let contract = Self::new(config, None)?;
        let payload = Parameter {
            name: "payload".to_owned(),
            schema: Schema::anything(),
        };
        Ok(Self {
            parameters: contract.parameters.or(Some(vec![payload])),
            ..contract
        })
    }

    /// Everything that is wrong with these arguments.
    pub(crate) fn check(&self, args: &Args) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let Some(parameters) = &self.parameters else {
            return flaws;
        };
        let named = args.names();
        for (index, parameter) in parameters.iter().enumerate() {
            match args.each.get(index) {
                Some(value) => parameter.schema.hold(value, &named.of(index), &mut flaws),
                None => flaws.push(Flaw::new(
                    named.of(index),
                    format!("is required: it is `{}`", parameter.name),
                )),
            }
        }
        for index in parameters.len()..args.each.len() {
            let most = parameters.len();
            flaws.push(Flaw::new(
                named.of(index),
                format!("is one too many: the function takes {most}"),
            ));
        }
        flaws
    }

    /// What the handler gets: the argument where exactly one is declared, else the list of them.
    pub(crate) fn frame(&self, args: &Args) -> Bytes {
        match (&self.parameters, args.each.as_slice()) {
            (Some(parameters), [only]) if parameters.len() == 1 => only.bytes().clone(),
            _ => args.whole.bytes().clone(),
        }
    }

    /// Everything that is wrong with a result.
    pub(crate) fn check_result(&self, result: &Json) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if let Some(schema) = &self.result {
            schema.hold(result, "result", &mut flaws);
        }
        flaws
    }
}

impl Parameter {
    fn new((name, schema): (String, Value)) -> Result<Self, String> {
        let schema = Schema::new(&schema).map_err(|why| format!("its parameter `{name}`: {why}"))?;
        Ok(Self { name, schema })
    }
}

/// The parameters of a hello: a list of `{name, schema}`.
fn said_parameters(args: &Json) -> Result<Vec<(String, Value)>, String> {
    #[derive(Deserialize)]
    struct Said {
        name: String,
        #[serde(default = "anything")]
        schema: Value,
    }
    let said: Vec<Said> = args
        .read()
        .map_err(|_| "its parameters are no list of `{name, schema}`".to_owned())?;
    Ok(said.into_iter().map(|it| (it.name, it.schema)).collect())
}

fn anything() -> Value {
    Value::Bool(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(args: &str) -> Contract {
        let info = serde_json::from_str(&format!(r#"{{"name":"f","args":{args}}}"#)).unwrap();
        Contract::new(None, Some(&info)).unwrap()
    }

    fn list(text: &str) -> Args {
        Args::list(Json::parse(text.to_owned().into()).unwrap()).unwrap()
    }

    fn one(text: &str) -> Args {
        Args::one(Json::parse(text.to_owned().into()).unwrap())
    }

    fn paths(contract: &Contract, args: &Args) -> Vec<String> {
        contract.check(args).into_iter().map(|flaw| flaw.path).collect()
    }

    #[test]
    fn a_handler_gets_the_one_argument_or_the_list() {
        let single = contract(r#"[{"name":"x"}]"#);
        assert_eq!(single.frame(&list("[ [1, 2] ]")), "[1, 2]");
        assert_eq!(single.frame(&one("[1, 2]")), "[1, 2]");
        let pair = contract(r#"[{"name":"x"},{"name":"y"}]"#);
        assert_eq!(pair.frame(&list("[1, 2]")), "[1, 2]");
        let open = Contract::new(None, None).unwrap();
        assert_eq!(open.frame(&one("{}")), "[{}]");
        assert_eq!(open.frame(&list("[{}]")), "[{}]");
        assert_eq!(contract("[]").frame(&list("[]")), "[]");
    }

    #[test]
    fn arguments_are_counted() {
        let pair = contract(r#"[{"name":"x"},{"name":"y"}]"#);
        assert_eq!(paths(&pair, &list("[1]")), ["args[1]"]);
        assert_eq!(paths(&pair, &list("[1,2,3,4]")), ["args[2]", "args[3]"]);
        assert_eq!(paths(&contract("[]"), &list("[null]")), ["args[0]"]);
        assert_eq!(paths(&Contract::new(None, None).unwrap(), &list("[1,2]")), [""; 0]);
    }

    #[test]
    fn on_its_own_path_the_argument_itself_has_no_name() {
        let single = contract(r#"[{"name":"x","schema":{"type":"object","required":["id"]}}]"#);
        assert_eq!(paths(&single, &list("[{}]")), ["args[0].id"]);
        assert_eq!(paths(&single, &one("{}")), ["id"]);
        assert_eq!(paths(&single, &one("1")), [""]);
        assert_eq!(paths(&single, &list("[1]")), ["args[0]"]);
    }

    #[test]
    fn a_hello_that_cannot_be_understood_is_refused() {
        let info = |text| serde_json::from_str::<FunctionInfo>(text).unwrap();
        for text in [
            r#"{"name":"f","args":7}"#,
            r#"{"name":"f","args":[{"name":"x","schema":{"type":7}}]}"#,
            r#"{"name":"f","result":{"type":7}}"#,
        ] {
            assert!(Contract::new(None, Some(&info(text))).is_err(), "{text}");
        }
    }
}
