//! What a template is run on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gotmpl::{ToValue, Value};

use super::absent;
use super::json::{Html, Json};

/// Members that are structs in Go, and that people print whole.
const STRUCTS: &[&str] = &["LogConfig", "Platform", "RestartPolicy"];

/// Looks a label up.
pub(crate) type LabelFn = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// A document for a template, which remembers the JSON that each of its lists and maps came from.
pub(crate) struct Data {
    json: Json,
    value: Value,
    origins: Origins,
}

/// The JSON behind values, by the address of their shared memory. The addresses stay valid because the [`Data`] that a
/// template runs on holds every value alive.
#[derive(Debug, Clone)]
pub(super) struct Origins {
    by_address: Arc<HashMap<usize, Json>>,
    structs: Arc<HashMap<usize, String>>,
    html: Html,
}

impl Default for Origins {
    fn default() -> Self {
        Self {
            by_address: Arc::default(),
            structs: Arc::default(),
            html: Html::Plain,
        }
    }
}

impl Data {
    /// A document of the daemon. Its members that are `null` or absent print as in Go, where they have types.
    pub(crate) fn document(json: Json) -> Self {
        let mut data = Self::build(json, Html::Plain, None);
        if data.json.get("RootFS").is_some() {
            data.omit_zeros_of_image();
        }
        data
    }

    /// The type that Docker's client has for an image's config leaves zero values out of its JSON, other than the daemon.
    fn omit_zeros_of_image(&mut self) {
        let Some(config) = self.json.get("Config").map(Json::without_zeros) else {
            return;
        };
        let whole = self.json.map(|name, value| match name {
            "Config" => (name.into(), config.clone()),
            _ => (name.into(), value.clone()),
        });
        let of_config = match &self.value {
            Value::Map(members) => members.get("Config").and_then(address),
            _ => None,
        };
        let origins = Arc::make_mut(&mut self.origins.by_address);
        let changed = [(of_config, config), (address(&self.value), whole)];
        for (address, json) in changed {
            origins.extend(address.map(|address| (address, json)));
        }
    }

    /// A document whose members templates know by other names than its JSON has.
    pub(crate) fn renamed(members: Json, json: Json) -> Self {
        let mut data = Self::document(members);
        if let Some(address) = address(&data.value) {
            Arc::make_mut(&mut data.origins.by_address).insert(address, json);
        }
        data
    }

    /// A row of a list, whose `json` is escaped for the web as Docker does it.
    pub(crate) fn row(json: Json, label: Option<LabelFn>) -> Self {
        Self::build(json, Html::Escaped, label)
    }

    fn build(json: Json, html: Html, label: Option<LabelFn>) -> Self {
        let mut builder = Builder::default();
        let value = match (&json, label) {
            (Json::Object(members), Some(label)) => builder.row(members, &json, label),
            _ => builder.value("", &json),
        };
        Self {
            json,
            value,
            origins: Origins {
                by_address: Arc::new(builder.by_address),
                structs: Arc::new(builder.structs),
                html,
            },
        }
    }

    /// The document itself.
    #[cfg(test)]
    pub(crate) fn json(&self) -> &Json {
        &self.json
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn origins(&self) -> &Origins {
        &self.origins
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Data").field(&self.json).finish()
    }
}

impl Origins {
    /// What an action prints that is no more than a field: a struct's own form, all else as it is.
    pub(super) fn shown(&self, value: &Value) -> Value {
        match address(value).and_then(|address| self.structs.get(&address)) {
            Some(text) => Value::String(text.as_str().into()),
            None => value.clone(),
        }
    }

    /// What `json` prints.
    pub(super) fn json(&self, value: &Value) -> String {
        match address(value).and_then(|address| self.by_address.get(&address)) {
            Some(origin) => origin.compact(self.html),
            None => self.without_origin(value).compact(self.html),
        }
    }

    /// A value that the template made itself.
    fn without_origin(&self, value: &Value) -> Json {
        match value {
            Value::Nil | Value::Function(_) => Json::Null,
            Value::Bool(on) => Json::Bool(*on),
            Value::Int(number) => Json::Number((*number).into()),
            Value::Uint(number) => Json::Number((*number).into()),
            Value::Float(number) => {
                serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number)
            }
            Value::String(text) => Json::Text(Arc::clone(text)),
            Value::List(items) => {
                Json::List(items.iter().map(|item| self.with_origin(item)).collect())
            }
            Value::Map(map) => Json::Object(
                map.iter()
                    .map(|(name, value)| (Arc::clone(name), self.with_origin(value)))
                    .collect(),
            ),
        }
    }

    fn with_origin(&self, value: &Value) -> Json {
        address(value)
            .and_then(|address| self.by_address.get(&address).cloned())
            .unwrap_or_else(|| self.without_origin(value))
    }
}

fn address(value: &Value) -> Option<usize> {
    match value {
        Value::List(items) => Some(Arc::as_ptr(items).cast::<()>() as usize),
        Value::Map(map) => Some(Arc::as_ptr(map).cast::<()>() as usize),
        _ => None,
    }
}

/// Go prints the members of a struct in their order, without names.
fn struct_text(members: &[(Arc<str>, Json)]) -> String {
    // These values are not part of the document, so they must not be known by their addresses.
    let mut apart = Builder::default();
    let members: Vec<String> = members
        .iter()
        .map(|(name, json)| apart.value(name, json).to_string())
        .collect();
    format!("{{{}}}", members.join(" "))
}

#[derive(Default)]
struct Builder {
    by_address: HashMap<usize, Json>,
    structs: HashMap<usize, String>,
}

impl Builder {
    fn value(&mut self, name: &str, json: &Json) -> Value {
        let value = match json {
            Json::Null => absent::null(name),
            Json::Bool(on) => Value::Bool(*on),
            Json::Number(number) => number_value(number),
            Json::Text(text) => Value::String(Arc::clone(text)),
            Json::List(items) => {
                Value::List(items.iter().map(|item| self.value("", item)).collect())
            }
            Json::Object(members) => Value::Map(Arc::new(self.members(name, members))),
        };
        self.remember(&value, json);
        if let (Json::Object(members), true, Some(address)) =
            (json, STRUCTS.contains(&name), address(&value))
        {
            let shown = struct_text(members);
            self.structs.insert(address, shown);
        }
        value
    }

    fn row(&mut self, members: &[(Arc<str>, Json)], json: &Json, label: LabelFn) -> Value {
        let mut map = self.members("", members);
        let function = move |args: &[Value]| {
            Ok(label(args.first().and_then(Value::as_str).unwrap_or_default()).to_value())
        };
        map.insert("Label".into(), Value::Function(Arc::new(function)));
        let value = Value::Map(Arc::new(map));
        self.remember(&value, json);
        value
    }

    fn members(&mut self, name: &str, members: &[(Arc<str>, Json)]) -> BTreeMap<Arc<str>, Value> {
        let mut map: BTreeMap<_, _> = members
            .iter()
            .map(|(name, json)| (Arc::clone(name), self.value(name, json)))
            .collect();
        for (member, zero) in absent::members_of(name, &map) {
            let value = absent::value(zero);
            self.remember(&value, &Json::Null);
            map.entry(member.into()).or_insert(value);
        }
        for (member, go) in absent::go_names(name) {
            if let Some(value) = map.get(*member).cloned() {
                map.entry((*go).into()).or_insert(value);
            }
        }
        map
    }

    fn remember(&mut self, value: &Value, json: &Json) {
        if let Some(address) = address(value) {
            self.by_address.insert(address, json.clone());
        }
    }
}

fn number_value(number: &serde_json::Number) -> Value {
    if let Some(number) = number.as_i64() {
        Value::Int(number)
    } else if let Some(number) = number.as_u64() {
        Value::Uint(number)
    } else {
        Value::Float(number.as_f64().unwrap_or_default())
    }
}
