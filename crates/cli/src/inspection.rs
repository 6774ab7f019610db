//! What `inspect` prints: documents as the daemon sent them, or what a template makes of each.

use crate::failure::{Exit, Failure, Outcome};
use crate::format::json::{Json, indent};
use crate::format::{Data, Missing, Template};
use crate::print::print;

/// Status of a template that cannot be read; Docker's.
const STATUS_TEMPLATE: u8 = 64;

/// Documents and failures, collected until all have been asked for.
pub(crate) struct Inspection {
    form: Form,
    documents: Vec<String>,
    failures: Vec<Failure>,
}

enum Form {
    /// A list with four spaces.
    Indented,
    /// A list on one line.
    Compact,
    Template(Box<Template>),
}

impl Inspection {
    /// `format` is the flag's value: empty, `json` or a template.
    pub(crate) fn new(format: &str) -> Result<Self, Failure> {
        let form = match format {
            "" => Form::Indented,
            "json" => Form::Compact,
            source => Form::Template(Box::new(Template::parse(source).map_err(|error| {
                Failure::with_status(STATUS_TEMPLATE, format!("template parsing error: {error}"))
            })?)),
        };
        Ok(Self {
            form,
            documents: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// Takes a document as the daemon sent it.
    pub(crate) fn add(&mut self, document: &[u8]) {
        let text = String::from_utf8_lossy(document);
        let text = text.trim();
        let printed = match &self.form {
            Form::Indented => indent(text, 1),
            Form::Compact => text.to_owned(),
            Form::Template(template) => match rendered(template, text) {
                Ok(printed) => printed,
                Err(failure) => {
                    self.failures.push(failure);
                    String::new()
                }
            },
        };
        self.documents.push(printed);
    }

    /// Takes note of a thing that could not be asked for.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// Prints the documents, then the failures.
    pub(crate) fn finish(self) -> Outcome {
        print(&self.text())?;
        match Failure::join(self.failures) {
            Ok(Exit::OK) => Ok(Exit::OK),
            other => other,
        }
    }

    fn text(&self) -> String {
        match &self.form {
            // Docker's client ends the line, however little is in it.
            Form::Template(_) if self.documents.is_empty() => "\n".to_owned(),
            Form::Template(_) => self
                .documents
                .iter()
                .map(|document| format!("{document}\n"))
                .collect(),
            _ if self.documents.is_empty() => "[]\n".to_owned(),
            Form::Compact => format!("[{}]\n", self.documents.join(",")),
            Form::Indented => format!("[\n    {}\n]\n", self.documents.join(",\n    ")),
        }
    }
}

fn rendered(template: &Template, text: &str) -> Result<String, Failure> {
    let json: Json = serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("unable to read inspect data: {error}")))?;
    template
        .render(&Data::document(json), Missing::Key)
        .map_err(|error| Failure::new(format!("template parsing error: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_out_as_they_were_sent() {
        let text = |format: &str, documents: &[&str]| {
            let mut inspection = Inspection::new(format).unwrap();
            documents
                .iter()
                .for_each(|document| inspection.add(document.as_bytes()));
            inspection.text()
        };
        assert_eq!(text("", &[]), "[]\n");
        assert_eq!(
            text("", &["{\"b\":1,\"a\":\"\\u003c\"}\n"]),
            "[\n    {\n        \"b\": 1,\n        \"a\": \"\\u003c\"\n    }\n]\n"
        );
        assert_eq!(text("json", &["{\"b\":1}", "{}"]), "[{\"b\":1},{}]\n");
        assert_eq!(text("{{.b}}", &["{\"b\":1}", "{\"b\":2}"]), "1\n2\n");
        assert_eq!(text("{{.c}}", &["{\"b\":1}"]), "\n");
        assert_eq!(text("{{.c}}", &[]), "\n");
        // Go's own name of a field, which is no key of a map of the user's, and shows up nowhere else.
        let document = "{\"Id\":\"x\",\"Labels\":{\"Id\":\"y\"}}";
        assert_eq!(
            text("{{.ID}} {{.Id}} {{len .Labels}} {{json .}}", &[document]),
            format!("x x 1 {document}\n")
        );
        assert_eq!(
            Inspection::new("{{.c").err().map(|failure| failure.status),
            Some(64)
        );
    }
}
