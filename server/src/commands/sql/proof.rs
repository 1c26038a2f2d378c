//! Writes an answer with its proof into a file, while the rows arrive.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use jetway_odf::proof::{DataFormat, DidKey, Document, OutputHasher, RowWriter};
use serde_json::Value;

/// The file of a proof. It appears under its name when it is complete.
#[derive(Debug)]
pub(super) struct ProofFile {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    /// None once all rows are written.
    rows: Option<RowWriter>,
    hasher: OutputHasher,
    piece: Vec<u8>,
}

impl ProofFile {
    /// Begins a file for rows of a schema.
    ///
    /// # Errors
    /// When it cannot be made, or a column cannot be part of a proof.
    pub(super) fn create(path: PathBuf, schema: SchemaRef) -> Result<Self> {
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // What the node writes unless it is told otherwise.
        let rows = RowWriter::new(DataFormat::JsonAoA, schema, 0)?;
        let file = File::create(&partial).with_context(|| format!("cannot write {}", partial.display()))?;
        let mut file = BufWriter::new(file);
        file.write_all(b"{\"output\":{\"data\":")?;
        Ok(Self {
            path,
            partial,
            file,
            rows: Some(rows),
            hasher: OutputHasher::default(),
            piece: Vec::new(),
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some(rows) = &mut self.rows {
            rows.write(batch, &mut self.piece)?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.hasher.update(&self.piece);
        self.file.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    /// Adds what the node told about the rows, after a look at whether it fits them. Gives who signed.
    ///
    /// # Errors
    /// When the node told nothing, or something that does not fit.
    pub(super) fn finish(mut self, told: &[u8]) -> Result<DidKey> {
        if told.is_empty() {
            bail!("the node sent the answer without a proof; is it a Jetway node that signs answers?");
        }
        let document = Document::parse(told).context("the node sent a damaged proof")?;
        if let Some(rows) = self.rows.take() {
            rows.finish(&mut self.piece);
        }
        self.flush()?;
        let Some(Value::Object(rest)) = &document.output else {
            bail!("the node sent a proof that does not say how rows are written");
        };
        if self.hasher.clone().finish(rest) != document.commitment.output_hash {
            bail!(
                "the rows that came are not those that the node signed: do not trust them, and tell who runs the node"
            );
        }
        let without_output = Document {
            output: None,
            ..document.clone()
        };
        without_output
            .check(&[])
            .map_err(|fault| anyhow::anyhow!("the node sent a proof that does not hold: {fault}"))?;
        for (name, value) in rest {
            write!(self.file, ",{}:{value}", Value::from(name.as_str()))?;
        }
        self.file.write_all(b"}")?;
        if let Value::Object(members) = without_output.to_json() {
            for (name, value) in &members {
                write!(self.file, ",\"{name}\":{value}")?;
            }
        }
        self.file.write_all(b"}\n")?;
        self.file.flush()?;
        self.publish()?;
        Ok(document.proof.verification_method)
    }

    fn publish(&self) -> Result<()> {
        let name = |path: &Path| path.display().to_string();
        std::fs::rename(&self.partial, &self.path)
            .with_context(|| format!("cannot rename {} to {}", name(&self.partial), name(&self.path)))
    }
}

impl Drop for ProofFile {
    fn drop(&mut self) {
        // It is not there any more if all went well, and harmless if it stays.
        let _ = std::fs::remove_file(&self.partial);
    }
}
