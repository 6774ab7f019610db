//! One container in memory: what everybody may read at once, and the mailbox of the task that owns it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::Snapshot;
use oci::runtime::Process;
use shim::protocol::{Op, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::attach::WaitingAttach;
use crate::error::{Error, Result};
use crate::lifecycle::{Life, Phase};
use crate::link;
use crate::networks::Place;
use crate::options::{EndpointOptions, PortBinding};
use crate::owner::PortChange;
use crate::state::{Birth, LifeRecord, Record, VERSION};

/// Where the answer to an order goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T>>;

/// What the owner is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    Start(Answer<()>),
    Pause(Answer<()>),
    Unpause(Answer<()>),
    /// Signals the first process.
    Signal {
        signal: i32,
        answer: Answer<()>,
    },
    /// Hands an operation to the shim, if the container runs.
    Ask {
        op: Op,
        answer: Answer<Value>,
    },
    Attach(WaitingAttach),
    Connect {
        network: String,
        wish: Box<EndpointOptions>,
        answer: Answer<()>,
    },
    Republish {
        change: Box<PortChange>,
        answer: Answer<()>,
    },
    Disconnect {
        network: String,
        answer: Answer<()>,
    },
    /// Ends the link of this alias.
    Unlink {
        alias: String,
        answer: Answer<()>,
    },
    Rename {
        new: String,
        answer: Answer<()>,
    },
    Remove {
        volumes: bool,
        answer: Answer<()>,
    },
    /// `--rm` is not carried out at the exits that happen until it is let go: a restart is under way.
    HoldAutoRemove(bool),
}

/// What waiters look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Counts ends of runs, failed starts included.
    pub(crate) ends: u64,
    pub(crate) active: bool,
    pub(crate) code: i32,
    pub(crate) removed: bool,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) name: String,
    pub(crate) life: Life,
    /// The first process as it was launched, the model of execs.
    pub(crate) model: Option<Arc<Process>>,
    /// The networks it is to be in, and is in while it runs.
    pub(crate) places: Vec<Place>,
    /// What is to be published, if that has changed since the container was made.
    pub(crate) published: Option<Vec<PortBinding>>,
    /// The links of the default bridge that are left, if some were removed.
    pub(crate) links: Option<Vec<String>>,
    /// Running execs.
    pub(crate) execs: BTreeSet<String>,
    /// Lines in the file of its execs.
    pub(crate) exec_lines: usize,
}

impl Live {
    /// What is to be published.
    pub(crate) fn published<'a>(&'a self, birth: &'a Birth) -> &'a [PortBinding] {
        self.published
            .as_deref()
            .unwrap_or(&birth.options.host.published)
    }

    /// Its links on the default bridge, as `ID:ALIAS`.
    pub(crate) fn links<'a>(&'a self, birth: &'a Birth) -> &'a [String] {
        self.links.as_deref().unwrap_or(&birth.options.host.links)
    }
}

/// A container, for reading.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) birth: Arc<Birth>,
    pub(crate) snapshot: Snapshot,
    live: Mutex<Live>,
    news: watch::Sender<News>,
}

impl Container {
    pub(crate) fn new(birth: Arc<Birth>, snapshot: Snapshot, name: String, life: Life) -> Self {
        let news = News {
            active: life.phase.is_active(),
            code: life.exit_code,
            ..News::default()
        };
        Self {
            birth,
            snapshot,
            live: Mutex::new(Live {
                name,
                life,
                model: None,
                places: Vec::new(),
                published: None,
                links: None,
                execs: BTreeSet::new(),
                exec_lines: 0,
            }),
            news: watch::Sender::new(news),
        }
    }

    /// What is to be published.
    pub(crate) fn published(&self) -> Vec<PortBinding> {
        self.live().published(&self.birth).to_vec()
    }

    /// What changes; never held over anything that waits.
    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn name(&self) -> String {
        self.live().name.clone()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.live().life.phase
    }

    pub(crate) fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    /// Tells waiters.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut News)) {
        self.news.send_modify(change);
    }

    /// The record as it stands.
    pub(crate) fn record(&self) -> Record {
        let live = self.live();
        Record {
            version: VERSION,
            birth: Arc::clone(&self.birth),
            name: live.name.clone(),
            life: LifeRecord::from(&live.life),
            places: live.places.clone(),
            published: live.published.clone(),
            links: live.links.clone(),
        }
    }

    /// Docker's error for what needs it running, with its id.
    pub(crate) fn not_running(&self) -> Error {
        Error::conflict(format!("container {} is not running", self.birth.id))
    }
}

/// A container with its mailbox: what the registry keeps. When the last handle goes, its owner ends.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) container: Arc<Container>,
    orders: mpsc::Sender<Order>,
}

impl std::ops::Deref for Handle {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.container
    }
}

impl Handle {
    pub(crate) fn new(container: Arc<Container>, orders: mpsc::Sender<Order>) -> Self {
        Self { container, orders }
    }

    /// Gives an order and waits for its answer. Gone containers do not answer.
    pub(crate) async fn order<T>(&self, order: impl FnOnce(Answer<T>) -> Order) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::no_such_container(self.birth.id.as_str());
        self.orders.send(order(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Asks the shim, if the container runs.
    pub(crate) async fn ask(&self, op: Op) -> Result<Value> {
        let asked = self.order(|answer| Order::Ask { op, answer });
        timeout(link::PATIENCE, asked)
            .await
            .map_err(|_| link::silent())?
    }

    /// Gives an order that has no answer.
    pub(crate) async fn tell_owner(&self, order: Order) -> Result<()> {
        self.orders
            .send(order)
            .await
            .map_err(|_| Error::no_such_container(self.birth.id.as_str()))
    }
}
