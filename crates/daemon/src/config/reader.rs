//! Settings as they were written become the configuration: defaults, checks, and refusals by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::DriverKind;

use super::flags::{Given, Settings};
use super::{Config, ConfigError, Group, LogLevel, Runtime, Ulimit, gc, size};
use crate::http::version::{ApiVersion, MAX_VERSION, MIN_VERSION};

const DEFAULT_DATA_ROOT: &str = "/var/lib/tare";
const DEFAULT_EXEC_ROOT: &str = "/run/tare";
/// The group that may use the socket when none is named; as in Docker it may be missing.
const DEFAULT_GROUP: &str = "docker";

/// Turns merged settings into the checked configuration.
pub(super) struct Reader(pub(super) Settings);

impl Reader {
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        self.refuse_other_choices()?;
        let exec_root = PathBuf::from(self.text("exec-root", DEFAULT_EXEC_ROOT));
        let runtimes = self.runtimes()?;
        let data_root = absolute("data-root", self.text("data-root", DEFAULT_DATA_ROOT))?;
        // There is one engine of this data root, so only this one has the plain name.
        let bridge = if data_root == Path::new(DEFAULT_DATA_ROOT) {
            "tare0"
        } else {
            ""
        };
        Ok(Config {
            hosts: self.hosts(&exec_root),
            networking: super::networking::read(&self.0, bridge)?,
            host_names: super::host_names::read(&self.0)?,
            data_root,
            pidfile: match self.0.get("pidfile") {
                Some(Given::Text(path)) => PathBuf::from(path),
                _ => exec_root.join("tare.pid"),
            },
            exec_root: absolute("exec-root", exec_root.to_string_lossy().into_owned())?,
            group: match self.0.get("group") {
                Some(Given::Text(name)) => Group::Named(name.clone()),
                _ => Group::Usual(DEFAULT_GROUP),
            },
            cgroup_parent: self.text("cgroup-parent", "/tare"),
            default_runtime: self.default_runtime(&runtimes)?,
            runtimes,
            log_driver: self.one_of("log-driver", "json-file", &["json-file", "local", "none"])?,
            log_opts: self.map("log-opt"),
            labels: self.labels()?,
            dns: self.name_servers()?,
            dns_options: self.list("dns-opt"),
            dns_search: self.list("dns-search"),
            init: self.on("init", false),
            default_shm_size: self.size("default-shm-size", 64 << 20)?,
            default_stop_timeout: self.seconds("default-stop-timeout", 10)?,
            default_ulimits: self.ulimits()?,
            default_ipc_mode: self.one_of(
                "default-ipc-mode",
                "private",
                &["private", "shareable"],
            )?,
            default_cgroupns_mode: match self.0.get("default-cgroupns-mode") {
                Some(_) => Some(self.one_of("default-cgroupns-mode", "", &["private", "host"])?),
                None => None,
            },
            shutdown_timeout: self.seconds("shutdown-timeout", 15)?,
            seccomp_profile: self.text("seccomp-profile", "builtin"),
            no_new_privileges: self.on("no-new-privileges", false),
            min_api_version: self.min_api_version()?,
            registries: super::registries::read(&self.0)?,
            storage_driver: self.storage_driver()?,
            max_layer_size: match self.0.get("max-layer-size") {
                Some(_) => u64::try_from(self.size("max-layer-size", 0)?).ok(),
                None => None,
            }
            .filter(|most| *most > 0),
            gc: match self.0.get("gc") {
                Some(Given::Table(table)) => gc::policy(table)?,
                _ => None,
            },
            shim: match self.0.get("shim") {
                Some(Given::Text(path)) => Some(absolute("shim", path.clone())?),
                _ => None,
            },
            ready_fd: match self.0.get("ready-fd") {
                Some(Given::Number(number)) => u32::try_from(*number).ok(),
                _ => None,
            },
            debug: self.on("debug", false),
            log_level: self.log_level()?,
            json_logs: match self.text("log-format", "text").as_str() {
                "text" => false,
                "json" => true,
                other => return Err(ConfigError::LogFormat(other.to_owned())),
            },
            plain_logs: self.on("raw-logs", false),
        })
    }

    /// Options of which one value is what happens here and every other is refused by name.
    fn refuse_other_choices(&self) -> Result<(), ConfigError> {
        let refuse = |option, value: &str, why: &str| {
            Err(ConfigError::Value {
                option,
                value: value.to_owned(),
                why: why.to_owned(),
            })
        };
        if !self.on("live-restore", true) {
            return refuse(
                "live-restore",
                "false",
                "containers always outlive this daemon; stop them before it if they shall not",
            );
        }
        for opt in self.list("exec-opt") {
            if opt != "native.cgroupdriver=cgroupfs" {
                return refuse(
                    "exec-opt",
                    &opt,
                    "only native.cgroupdriver=cgroupfs is built",
                );
            }
        }
        Ok(())
    }

    fn storage_driver(&self) -> Result<DriverKind, ConfigError> {
        let name = self.text("storage-driver", DriverKind::default().name());
        DriverKind::by_name(&name).ok_or_else(|| ConfigError::Value {
            option: "storage-driver",
            why: format!(
                "choose one of {}",
                DriverKind::ALL.map(DriverKind::name).join(", ")
            ),
            value: name,
        })
    }

    fn hosts(&self, exec_root: &Path) -> Vec<String> {
        let hosts = self.list("host");
        if hosts.is_empty() {
            vec![format!("unix://{}", exec_root.join("tare.sock").display())]
        } else {
            hosts
        }
    }

    fn text(&self, name: &str, default: &str) -> String {
        match self.0.get(name) {
            Some(Given::Text(text)) if !text.is_empty() => text.clone(),
            _ => default.to_owned(),
        }
    }

    fn one_of(
        &self,
        name: &'static str,
        default: &str,
        choices: &[&str],
    ) -> Result<String, ConfigError> {
        let value = self.text(name, default);
        if choices.contains(&value.as_str()) {
            return Ok(value);
        }
        Err(ConfigError::Value {
            option: name,
            value,
            why: format!("choose one of {}", choices.join(", ")),
        })
    }

    fn on(&self, name: &str, default: bool) -> bool {
        match self.0.get(name) {
            Some(Given::Switch(on)) => *on,
            _ => default,
        }
    }

    fn seconds(&self, name: &'static str, default: u32) -> Result<u32, ConfigError> {
        let Some(Given::Number(number)) = self.0.get(name) else {
            return Ok(default);
        };
        u32::try_from(*number).map_err(|_| ConfigError::Value {
            option: name,
            value: number.to_string(),
            why: "not a number of seconds from 0 up".to_owned(),
        })
    }

    fn list(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(Given::List(list)) => list.clone(),
            _ => Vec::new(),
        }
    }

    fn map(&self, name: &str) -> BTreeMap<String, String> {
        match self.0.get(name) {
            Some(Given::Map(map)) => map.clone(),
            _ => BTreeMap::new(),
        }
    }

    fn size(&self, name: &'static str, default: i64) -> Result<i64, ConfigError> {
        match self.0.get(name) {
            Some(Given::Text(text)) => size::bytes(text).ok_or_else(|| ConfigError::Value {
                option: name,
                value: text.clone(),
                why: "not a size such as 64m".to_owned(),
            }),
            _ => Ok(default),
        }
    }

    fn log_level(&self) -> Result<LogLevel, ConfigError> {
        let text = self.text("log-level", "info");
        LogLevel::parse(&text).ok_or(ConfigError::LogLevel(text))
    }

    fn labels(&self) -> Result<Vec<String>, ConfigError> {
        let labels = self.list("label");
        let mut seen = BTreeMap::new();
        for label in &labels {
            let Some((key, value)) = label.split_once('=').filter(|(key, _)| !key.is_empty())
            else {
                return Err(ConfigError::Label(label.clone()));
            };
            if seen
                .insert(key, value)
                .is_some_and(|earlier| earlier != value)
            {
                return Err(ConfigError::LabelConflict(key.to_owned()));
            }
        }
        Ok(labels)
    }

    fn name_servers(&self) -> Result<Vec<String>, ConfigError> {
        let servers = self.list("dns");
        // A device may follow: fe80::1%eth0.
        let is_address = |text: &String| {
            let address = text.split('%').next().unwrap_or_default();
            address.parse::<std::net::IpAddr>().is_ok()
        };
        match servers.iter().find(|text| !is_address(text)) {
            None => Ok(servers),
            Some(wrong) => Err(ConfigError::Value {
                option: "dns",
                value: wrong.clone(),
                why: format!("IP address is not correctly formatted: {wrong}"),
            }),
        }
    }

    fn min_api_version(&self) -> Result<ApiVersion, ConfigError> {
        let Some(Given::Text(text)) = self.0.get("min-api-version") else {
            return Ok(MIN_VERSION);
        };
        let out_of_range = || ConfigError::Value {
            option: "min-api-version",
            value: text.clone(),
            why: format!("choose one from {MIN_VERSION} to {MAX_VERSION}"),
        };
        let version: ApiVersion = text.parse().map_err(|_| out_of_range())?;
        if (MIN_VERSION..=MAX_VERSION).contains(&version) {
            Ok(version)
        } else {
            Err(out_of_range())
        }
    }

    fn runtimes(&self) -> Result<BTreeMap<String, Runtime>, ConfigError> {
        let bad = |value: &str, why: &str| ConfigError::Value {
            option: "add-runtime",
            value: value.to_owned(),
            why: why.to_owned(),
        };
        let mut runtimes = BTreeMap::new();
        match self.0.get("add-runtime") {
            Some(Given::List(words)) => {
                for word in words {
                    let (name, path) = word
                        .split_once('=')
                        .ok_or_else(|| bad(word, "write it as NAME=PATH"))?;
                    runtimes.insert(
                        name.to_owned(),
                        Runtime {
                            path: path.to_owned(),
                            args: Vec::new(),
                        },
                    );
                }
            }
            Some(Given::Table(table)) => {
                for (name, value) in table {
                    runtimes.insert(name.clone(), runtime_of(name, value)?);
                }
            }
            _ => {}
        }
        for (name, runtime) in &runtimes {
            if name.is_empty() || runtime.path.is_empty() {
                return Err(bad(name, "a runtime needs a name and a path"));
            }
            if name == engine::RUNTIME {
                return Err(bad(name, "this name is the runtime that is built in"));
            }
        }
        Ok(runtimes)
    }

    fn default_runtime(&self, runtimes: &BTreeMap<String, Runtime>) -> Result<String, ConfigError> {
        let name = self.text("default-runtime", engine::RUNTIME);
        if engine::OWN_RUNTIMES.contains(&name.as_str()) || runtimes.contains_key(&name) {
            return Ok(name);
        }
        let why =
            "specified default runtime does not exist; name its path with --add-runtime".to_owned();
        Err(ConfigError::Value {
            option: "default-runtime",
            value: name,
            why,
        })
    }

    fn ulimits(&self) -> Result<Vec<Ulimit>, ConfigError> {
        let bad = |value: String| ConfigError::Value {
            option: "default-ulimit",
            value,
            why: "write it as NAME=SOFT[:HARD]".to_owned(),
        };
        match self.0.get("default-ulimit") {
            Some(Given::List(words)) => words
                .iter()
                .map(|w| ulimit_of_word(w).ok_or_else(|| bad(w.clone())))
                .collect(),
            Some(Given::Table(table)) => table
                .iter()
                .map(|(name, v)| ulimit_of_json(name, v).ok_or_else(|| bad(name.clone())))
                .collect(),
            _ => Ok(Vec::new()),
        }
    }
}

fn absolute(option: &'static str, path: String) -> Result<PathBuf, ConfigError> {
    std::path::absolute(&path).map_err(|e| ConfigError::Value {
        option,
        value: path,
        why: e.to_string(),
    })
}

/// `{"path": "/usr/bin/crun", "runtimeArgs": []}`.
fn runtime_of(name: &str, value: &serde_json::Value) -> Result<Runtime, ConfigError> {
    let bad = |why: &str| ConfigError::Value {
        option: "runtimes",
        value: name.to_owned(),
        why: why.to_owned(),
    };
    let object = value.as_object().ok_or_else(|| bad("not an object"))?;
    if let Some(key) = object
        .keys()
        .find(|k| !matches!(k.as_str(), "path" | "runtimeArgs"))
    {
        return Err(bad(&format!(
            "the key {key} is not supported: runtimes are called by path through runc's command line"
        )));
    }
    let path = object
        .get("path")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    let args = match object.get("runtimeArgs") {
        None | Some(serde_json::Value::Null) => Vec::new(),
        Some(list) => serde_json::from_value(list.clone())
            .map_err(|_| bad("runtimeArgs is not a list of strings"))?,
    };
    Ok(Runtime {
        path: path.to_owned(),
        args,
    })
}

fn ulimit_of_word(word: &str) -> Option<Ulimit> {
    let (name, limits) = word.split_once('=')?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    checked_ulimit(name, soft.parse().ok()?, hard.parse().ok()?)
}

/// `{"Name": "nofile", "Soft": 1024, "Hard": 2048}` under its name.
fn ulimit_of_json(name: &str, value: &serde_json::Value) -> Option<Ulimit> {
    let field = |key: &str| value.get(key).and_then(serde_json::Value::as_i64);
    let name = value
        .get("Name")
        .and_then(serde_json::Value::as_str)
        .unwrap_or(name);
    checked_ulimit(name, field("Soft")?, field("Hard")?)
}

fn checked_ulimit(name: &str, soft: i64, hard: i64) -> Option<Ulimit> {
    let sensible = hard == -1 || (soft != -1 && soft <= hard);
    (!name.is_empty() && sensible).then(|| Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    })
}
