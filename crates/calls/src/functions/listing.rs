//! What can be called, told to programs: the list of `/functions`, the declarations of `/types`. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Contract, Function, Table, typescript};

/// One function in the list.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    package: String,
    name: String,
    supports_streaming: bool,
    input_type: String,
    output_type: String,
    parameters: Vec<NamedType>,
    return_type: String,
    file_path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct NamedType {
    name: String,
    #[serde(rename = "type")]
    spelt: String,
}

/// All functions, by package and name.
pub(crate) fn listing(table: &Table) -> Vec<Entry> {
    table.functions().map(entry).collect()
}

fn entry(function: &Function) -> Entry {
    let parameters = parameters(&function.contract);
    let output = output(&function.contract);
    Entry {
        package: function.package.clone(),
        name: function.name.clone(),
        supports_streaming: function.contract.streaming,
        input_type: match parameters.as_deref() {
            None => "unknown".to_owned(),
            Some([]) => "void".to_owned(),
            Some([only]) => only.spelt.clone(),
            Some(several) => {
                let all: Vec<_> = several.iter().map(|it| format!("{}: {}", it.name, it.spelt)).collect();
                format!("[{}]", all.join(", "))
            }
        },
        output_type: output.clone(),
        parameters: parameters.unwrap_or_default(),
        return_type: output,
        file_path: "",
        path: function.path.clone(),
    }
}

/// The declarations of all functions: an interface with a member for each package.
pub(crate) fn declarations(table: &Table) -> String {
    let mut text = String::from("/** The functions by package. */\nexport interface Functions {\n");
    let mut package = None;
    for function in table.functions() {
        if package != Some(&function.package) {
            if package.is_some() {
                text.push_str("  };\n");
            }
            let _infallible = writeln!(text, "  {}: {{", typescript::key(&function.package));
            package = Some(&function.package);
        }
        if let Some(path) = &function.path {
            let _infallible = writeln!(text, "    /** `POST {path}` */");
        }
        let parameters = match parameters(&function.contract) {
            None => "...args: unknown[]".to_owned(),
            Some(all) => {
                let all: Vec<_> = all
                    .iter()
                    .enumerate()
                    .map(|(at, it)| format!("{}: {}", identifier(&it.name, at), it.spelt))
                    .collect();
                all.join(", ")
            }
        };
        let (name, output) = (typescript::key(&function.name), output(&function.contract));
        let _infallible = writeln!(text, "    {name}({parameters}): Promise<{output}>;");
    }
    if package.is_some() {
        text.push_str("  };\n");
    }
    text.push_str("}\n");
    text
}

fn parameters(contract: &Contract) -> Option<Vec<NamedType>> {
    let all = contract.parameters.as_ref()?.iter().map(|parameter| NamedType {
        name: parameter.name.clone(),
        spelt: typescript::type_of(parameter.schema.source()),
    });
    Some(all.collect())
}

fn output(contract: &Contract) -> String {
    let spelt = |schema: &super::Schema| typescript::type_of(schema.source());
    contract.result.as_ref().map_or_else(|| "unknown".to_owned(), spelt)
}

/// A parameter's name where that is one in TypeScript, else one of our own.
fn identifier(name: &str, at: usize) -> String {
    if typescript::key(name) == name && !RESERVED.contains(&name) {
        name.to_owned()
    } else {
        format!("arg{at}")
    }
}

/// Words that no parameter may be called.
const RESERVED: [&str; 36] = [
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "import",
    "in",
    "instanceof",
    "new",
    "null",
    "return",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
];
