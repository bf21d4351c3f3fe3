//! Sibling modules do not depend on each other in a circle: the modules of each folder form layers.
//!
//! A file and the folder of the same name are one module. The file of a folder (`mod.rs`, or the file beside it) is its
//! front and may depend on all of it. Test modules are excluded: they may use everything.

use super::tree::{Violations, rust_files};
use std::collections::{BTreeMap, BTreeSet};

/// Path of a module within its crate: `["files", "csv"]`.
type Module = Vec<String>;

/// The code of each module of a crate, without comments and without tests.
fn modules(folder: &str) -> BTreeMap<Module, String> {
    let prefix = format!("{folder}/src/");
    let mut modules = BTreeMap::new();
    for file in rust_files() {
        let Some(name) = file.path.strip_prefix(&prefix).and_then(|name| name.strip_suffix(".rs")) else { continue };
        let mut module: Module = name.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        if !module.iter().any(|part| part.starts_with("test")) {
            modules.insert(module, without_tests(&without_comments(&file.text)));
        }
    }
    modules
}

/// The text without its comments, and with empty string literals: their words are no code.
fn without_comments(text: &str) -> String {
    let (mut code, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['/', '"', '\'']) {
        code.push_str(&rest[..at]);
        let item = &rest[at..];
        let length = if item.starts_with("//") {
            item.find('\n').unwrap_or(item.len())
        } else if item.starts_with('"') {
            code.push_str("\"\"");
            string_length(item, &code[..code.len() - 2])
        } else if item.starts_with('\'') {
            char_length(item)
        } else {
            code.push('/');
            1
        };
        rest = &item[length..];
    }
    code + rest
}

/// Bytes of a string literal from its opening quote on; `before` tells whether it is a raw one.
fn string_length(text: &str, before: &str) -> usize {
    let hashes = before.len() - before.trim_end_matches('#').len();
    if before.trim_end_matches('#').ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        return text[1..].find(&end).map_or(text.len(), |at| 1 + at + end.len());
    }
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Bytes of a character literal, or of the quote of a lifetime.
fn char_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, c))) => {
            text[at + c.len_utf8()..].find('\'').map_or(1, |end| at + c.len_utf8() + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// Cuts modules out that are compiled for tests only.
fn without_tests(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at + "#[cfg(test)]".len()..];
        let (open, end) = (item.find('{'), item.find(';'));
        rest = match (open, end) {
            // a declaration, or a `use`
            (None, Some(end)) => &item[end + 1..],
            (Some(open), Some(end)) if end < open => &item[end + 1..],
            (Some(open), _) => &item[open + block_length(&item[open..])..],
            (None, None) => "",
        };
    }
    kept + rest
}

/// Bytes of a block from its opening brace to its closing one.
fn block_length(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// The paths that a text names: those of its `use` items, and others that begin with `crate` or `super`.
fn paths(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = String::new();
    for statement in text.split_inclusive(';') {
        let words = statement.trim_end_matches(';');
        match words.rfind("use ").filter(|at| is_word_start(words, *at)) {
            Some(at) if statement.ends_with(';') && !words[at..].contains("fn ") => {
                found.extend(expanded(&words[at + 4..]));
                rest.push_str(&words[..at]);
            }
            _ => rest.push_str(statement),
        }
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let outside = rest.split(|c: char| !is_part(c)).filter(|path| path.contains("::"));
    found.extend(outside.filter(|path| path.starts_with("crate::") || path.starts_with("super::")).map(str::to_owned));
    found
}

fn is_word_start(text: &str, at: usize) -> bool {
    !text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expanded(path: &str) -> Vec<String> {
    let path: String = path.split(" as ").next().unwrap_or_default().split_whitespace().collect();
    let (Some(open), Some(close)) = (path.find('{'), path.rfind('}')) else { return vec![path] };
    let (mut parts, mut depth, mut part) = (Vec::new(), 0, String::new());
    for c in path[open + 1..close].chars().chain([',']) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts.flat_map(|part| expanded(&format!("{}{part}", &path[..open]))).collect()
}

/// The module that a path names in `from`, if it is one of this crate.
fn resolve(path: &str, from: &Module, modules: &BTreeMap<Module, String>) -> Option<Module> {
    let mut parts: Vec<&str> = path.split("::").collect();
    let mut full = match parts[0] {
        "crate" => Vec::new(),
        _ => from.clone(),
    };
    let is_of_crate = ["crate", "super", "self"].contains(&parts[0]);
    while ["crate", "super", "self"].contains(&parts.first().copied().unwrap_or_default()) {
        if parts.remove(0) == "super" {
            full.pop();
        }
    }
    let begin = full.len();
    full.extend(parts.iter().map(|part| (*part).to_owned()));
    while !modules.contains_key(&full) {
        full.pop()?;
    }
    (is_of_crate || full.len() > begin).then_some(full)
}

/// Circles among the modules of a crate: folder, and the modules in it that reach each other.
fn circles(modules: &BTreeMap<Module, String>) -> Vec<String> {
    let mut edges: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (from, text) in modules {
        for to in paths(text).iter().filter_map(|path| resolve(path, from, modules)) {
            // of the folder that holds both, the entries below which they lie
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) {
                let folder = edges.entry(from[..shared].to_vec()).or_default();
                folder.entry(a.clone()).or_default().insert(b.clone());
            }
        }
    }
    let mut found = Vec::new();
    for (folder, edges) in &edges {
        let in_circle: Vec<&String> = edges.keys().filter(|module| reached(module, edges).contains(*module)).collect();
        if !in_circle.is_empty() {
            found.push(format!("{}: {in_circle:?}", folder.join("/")));
        }
    }
    found
}

/// What a module leads to, itself only through others.
fn reached(from: &str, edges: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(module) = open.pop() {
        for next in edges.get(&module).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    reached
}

#[test]
fn modules_side_by_side_do_not_depend_on_each_other_in_circles() {
    let mut violations = Violations::default();
    for (folder, _) in super::edges::ALLOWED {
        let modules = modules(folder);
        for circle in circles(&modules) {
            violations.push(&format!("{folder}/src"), 1, circle);
        }
    }
    violations.assert_none("Move shared code below both modules: a type into its own file, a function to its data.");
}

#[test]
fn a_circle_is_found_whatever_way_a_path_is_written() {
    let crate_of = |files: &[(&str, &str)]| -> BTreeMap<Module, String> {
        let module = |name: &str| name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        files.iter().map(|(name, text)| (module(name), without_tests(&without_comments(text)))).collect()
    };
    let circle = |files: &[(&str, &str)]| circles(&crate_of(files));
    assert_eq!(circle(&[("", "mod a;"), ("a", "use crate::b::X;"), ("b", "pub struct X;")]), Vec::<String>::new());
    assert_eq!(circle(&[("", ""), ("a", "use crate::{c, b::X};"), ("b", "use super::a::Y;")]).len(), 1);
    assert_eq!(circle(&[("", ""), ("a", "fn f() { crate::b::g() }"), ("b", "pub use crate::a::f;")]).len(), 1);
    assert_eq!(circle(&[("", ""), ("f", "mod a;"), ("f/a", "use super::b::X;"), ("f/b", "use super::a::Y;")]).len(), 1);
    assert_eq!(
        circle(&[("", ""), ("f", "use a::X; mod a;"), ("f/a", "use super::Y;")]).len(),
        0,
        "a front knows its folder"
    );
    let tested = "use crate::b::X;\n#[cfg(test)]\nmod tests { use crate::c::Z; fn f() { if true {} } }\n";
    assert_eq!(circle(&[("", ""), ("a", tested), ("b", ""), ("c", "use crate::a::Y;")]).len(), 0);
    assert_eq!(circle(&[("", ""), ("a", "// use crate::b::X;"), ("b", "use crate::a::Y;")]).len(), 0);
    let quoted = r##"const A: &str = "a \" // use crate::b::X;"; const B: &str = r#"use crate::b::{"#; let c = '"';"##;
    assert_eq!(circle(&[("", ""), ("a", quoted), ("b", "use crate::a::Y;")]).len(), 0);
    assert_eq!(circle(&[("", ""), ("a", &format!("{quoted} use crate::b::X;")), ("b", "use crate::a::Y;")]).len(), 1);
}
