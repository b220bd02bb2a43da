mock_provider "google" {}

variables {
  gcp_project = "my-project"
  location    = "EU"
  projects    = { demo = "refeed_demo", lab = "refeed_lab" }
}

run "defaults" {
  command = plan

  assert {
    condition     = output.staging == { demo = "refeed_demo", lab = "refeed_lab" }
    error_message = "Each project must have a staging dataset."
  }
  assert {
    condition = alltrue([
      for dataset in google_bigquery_dataset.staging :
      dataset.location == "EU" && dataset.default_table_expiration_ms == 108000000
      && dataset.default_partition_expiration_ms == 108000000 && dataset.max_time_travel_hours == "48"
      && length(dataset.default_encryption_configuration) == 0
    ])
    error_message = "Tables must expire after 30 hours."
  }
}

run "encryption_key" {
  command = plan
  variables { encryption_key = "projects/my-project/locations/europe/keyRings/refeed/cryptoKeys/data" }

  assert {
    condition     = google_bigquery_dataset.staging["demo"].default_encryption_configuration[0].kms_key_name == var.encryption_key
    error_message = "The dataset must use the encryption key."
  }
}

run "rejects_expiration_before_reader_ends" {
  command = plan
  variables { expiration_hours = 24 }
  expect_failures = [var.expiration_hours]
}

run "rejects_hyphen_in_dataset_id" {
  command = plan
  variables { projects = { demo = "refeed-demo" } }
  expect_failures = [var.projects]
}

run "rejects_shared_dataset" {
  command = plan
  variables { projects = { demo = "refeed", lab = "refeed" } }
  expect_failures = [var.projects]
}

run "rejects_zone" {
  command = plan
  variables { location = "europe-west1-b" }
  expect_failures = [var.location]
}

run "rejects_malformed_key" {
  command = plan
  variables { encryption_key = "data" }
  expect_failures = [var.encryption_key]
}
