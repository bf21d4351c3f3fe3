//! Compiles what a reef serves with protox (no `protoc` needed): messages and services, their descriptors for reflection,
//! and a table of fields, with which JSON is written and checked.

use protox::prost::Message;
use protox::prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use protox::prost_reflect::prost_types::method_options::IdempotencyLevel;
use protox::prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Where the files are.
const FOLDER: &str = "../proto";
const FILES: [&str; 3] = ["coral/reef/v1/answers.proto", "coral/reef/v1/llm.proto", "coral/reef/v1/reef.proto"];
/// gRPC's health service, which reflection describes too: a file of gRPC in a folder of its own.
const HEALTH: (&str, &str) = ("health", "grpc/health/v1/health.proto");
/// Methods of RFD 003 that only read: they may be called by GET. The others spend tokens of a model.
const READING: [&str; 2] = ["CompareEnvironments", "AnalyzeDeployment"];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={FOLDER}/{file}");
    }
    println!("cargo::rerun-if-changed={}/{}", HEALTH.0, HEALTH.1);
    let mut set = protox::compile(FILES.into_iter().chain([HEALTH.1]), [FOLDER, HEALTH.0])?;
    let methods = set.file.iter_mut().flat_map(|file| &mut file.service).flat_map(|service| &mut service.method);
    for method in methods.filter(|method| READING.contains(&method.name())) {
        method.options.get_or_insert_default().set_idempotency_level(IdempotencyLevel::NoSideEffects);
    }
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let descriptors = out_dir.join("reef.bin");
    std::fs::write(&descriptors, set.encode_to_vec())?;
    let own: Vec<&FileDescriptorProto> = set.file.iter().filter(|file| FILES.contains(&file.name())).collect();
    std::fs::write(out_dir.join("table.rs"), table(&own)?)?;
    connectrpc_build::Config::new()
        .files(&FILES)
        .descriptor_set(&descriptors)
        .client_feature_name("client")
        .include_file("_connectrpc.rs")
        .emit_rerun_directives(false)
        .compile()?;
    conformance(&out_dir)
}

/// The service of the conformance suite, for its test only.
fn conformance(out_dir: &Path) -> Result<(), Box<dyn Error>> {
    let (folder, file) = ("tests/conformance", "service.proto");
    println!("cargo::rerun-if-changed={folder}/{file}");
    let descriptors = out_dir.join("conformance.bin");
    std::fs::write(&descriptors, protox::compile([file], [folder])?.encode_to_vec())?;
    connectrpc_build::Config::new()
        .files(&[file])
        .descriptor_set(descriptors)
        .client_feature_name("client")
        .include_file("_conformance.rs")
        .emit_rerun_directives(false)
        .compile()?;
    Ok(())
}

/// The messages with their fields, and the methods, as Rust.
fn table(files: &[&FileDescriptorProto]) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("/// The messages.\npub(super) static MESSAGES: &[Message] = &[\n");
    for file in files {
        for message in &file.message_type {
            writeln!(text, "Message {{ name: \"{}.{}\", fields: &[", file.package(), message.name())?;
            for field in &message.field {
                let (shape, kind) = shape(message, field);
                let (name, json) = (field.name(), field.json_name());
                writeln!(text, "Field {{ name: {name:?}, json: {json:?}, shape: Shape::{shape}, kind: {kind} }},")?;
            }
            text.push_str("] },\n");
        }
    }
    text.push_str("];\n/// The methods.\npub(super) static METHODS: &[Method] = &[\n");
    for file in files {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let (input, output) =
                    (method.input_type().trim_start_matches('.'), method.output_type().trim_start_matches('.'));
                writeln!(text, "Method {{ path: {path:?}, input: {input:?}, output: {output:?} }},")?;
            }
        }
    }
    text.push_str("];\n");
    Ok(text)
}

/// How often a field occurs, and what it is.
fn shape(message: &DescriptorProto, field: &FieldDescriptorProto) -> (&'static str, String) {
    let is_map = message.nested_type.iter().any(|nested| {
        nested.options.as_ref().is_some_and(|options| options.map_entry())
            && field.type_name().ends_with(&format!(".{}", nested.name()))
    });
    let shape = match (is_map, field.label()) {
        (true, _) => "Map",
        (false, Label::Repeated) => "Many",
        (false, _) if field.proto3_optional() => "Optional",
        _ => "One",
    };
    let kind = match field.r#type() {
        _ if is_map => "Kind::Text".to_owned(),
        Type::String => "Kind::Text".to_owned(),
        Type::Bool => "Kind::Bool".to_owned(),
        Type::Double | Type::Float => "Kind::Real".to_owned(),
        Type::Int64 | Type::Uint64 => "Kind::Large".to_owned(),
        Type::Int32 | Type::Uint32 => "Kind::Small".to_owned(),
        // base64 in JSON
        Type::Bytes => "Kind::Text".to_owned(),
        Type::Message if field.type_name() == ".google.protobuf.Timestamp" => "Kind::Time".to_owned(),
        Type::Message => format!("Kind::Message({:?})", field.type_name().trim_start_matches('.')),
        other => panic!("{}.{} is a {other:?}, which rpc/json.rs does not know yet", message.name(), field.name()),
    };
    (shape, kind)
}
