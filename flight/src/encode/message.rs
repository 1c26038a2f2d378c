//! One batch to one message.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::FlightData;
use arrow_ipc::writer::{DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};

use crate::{Error, Result, WireProfile};

/// Encodes the messages of one stream. This is where a message gets its bytes: header and body are written once, into buffers
/// of their own size, and are not copied before gRPC frames them.
pub(crate) struct MessageEncoder {
    options: IpcWriteOptions,
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    context: IpcWriteContext,
}

impl MessageEncoder {
    pub(crate) fn new(profile: WireProfile) -> Result<Self> {
        let mut context = IpcWriteContext::default();
        // The next body is about as large as the last: one allocation instead of growing.
        context.set_reserve_scratch(true);
        Ok(Self {
            options: profile.ipc_options()?,
            generator: IpcDataGenerator::default(),
            dictionaries: DictionaryTracker::new(false),
            context,
        })
    }

    /// The first message.
    pub(crate) fn schema(&mut self, schema: &Schema) -> FlightData {
        message(
            self.generator
                .schema_to_bytes_with_dictionary_tracker(schema, &mut self.dictionaries, &self.options),
        )
    }

    /// A message with rows. The batch has wire types, so there are no dictionaries to send along.
    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> Result<FlightData> {
        let (dictionaries, rows) = self
            .generator
            .encode(batch, &mut self.dictionaries, &self.options, &mut self.context)
            .map_err(|error| Error::internal("rows cannot be encoded").with_source(error))?;
        if !dictionaries.is_empty() {
            return Err(Error::internal("a dictionary was left in rows for the wire"));
        }
        Ok(message(rows))
    }
}

fn message(encoded: EncodedData) -> FlightData {
    FlightData {
        data_header: encoded.ipc_message.into(),
        data_body: encoded.arrow_data.into(),
        ..FlightData::default()
    }
}

impl std::fmt::Debug for MessageEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageEncoder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
