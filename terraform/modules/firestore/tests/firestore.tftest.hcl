mock_provider "google" {}

variables {
  gcp_project = "my-project"
  location    = "europe-west1"
  projects    = { demo = "refeed-demo", lab = "refeed-lab" }
  indexes     = file("../../firestore.indexes.json")
}

run "defaults" {
  command = plan

  assert {
    condition = alltrue([
      for database in google_firestore_database.this :
      database.type == "FIRESTORE_NATIVE"
      && database.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
      && database.delete_protection_state == "DELETE_PROTECTION_ENABLED"
      && database.deletion_policy == "ABANDON"
    ])
    error_message = "Databases must be protected from deletion and have point-in-time recovery."
  }
  assert {
    condition     = output.databases == { demo = "refeed-demo", lab = "refeed-lab" }
    error_message = "Each project must have a database."
  }
  assert {
    condition = toset([for field in google_firestore_field.override : "${field.database} ${field.collection}.${field.field}"]) == toset(flatten([
      for database in ["refeed-demo", "refeed-lab"] : [
        for field in jsondecode(var.indexes).fieldOverrides : "${database} ${field.collectionGroup}.${field.fieldPath}"
      ]
    ])) && length(google_firestore_field.override) == 2 * length(jsondecode(var.indexes).fieldOverrides)
    error_message = "Each database must have every exemption of the file."
  }
  assert {
    condition     = alltrue([for field in google_firestore_field.override : length(field.index_config) == 1 && length(field.index_config[0].indexes) == 0])
    error_message = "An exempt field must not have an index."
  }
  assert {
    condition     = length(google_firestore_index.composite) == 2 * length(jsondecode(var.indexes).indexes)
    error_message = "Each database must have every composite index of the file."
  }
  assert {
    condition     = alltrue([for schedule in google_firestore_backup_schedule.daily : schedule.retention == "1209600s"]) && length(google_firestore_backup_schedule.daily) == 2
    error_message = "Daily backups must be kept for two weeks."
  }
}

run "composite_indexes_and_overrides_that_index" {
  command = plan
  variables {
    projects = { demo = "refeed-demo" }
    indexes = jsonencode({
      indexes = [{
        collectionGroup = "results", queryScope = "COLLECTION"
        fields          = [{ fieldPath = "status", order = "ASCENDING" }, { fieldPath = "rows", order = "DESCENDING" }]
      }]
      fieldOverrides = [
        { collectionGroup = "runs", fieldPath = "run", indexes = [{ order = "DESCENDING", queryScope = "COLLECTION_GROUP" }] },
        { collectionGroup = "runs", fieldPath = "labels", indexes = [{ arrayConfig = "CONTAINS", queryScope = "COLLECTION" }] },
      ]
    })
  }

  assert {
    condition = [for field in one(values(google_firestore_index.composite)).fields : "${field.field_path} ${field.order}"] == [
      "status ASCENDING", "rows DESCENDING"
    ]
    error_message = "An index must keep the order of its fields."
  }
  assert {
    condition = (
      one(google_firestore_field.override["demo runs.run"].index_config[0].indexes).query_scope == "COLLECTION_GROUP"
      && one(google_firestore_field.override["demo runs.labels"].index_config[0].indexes).array_config == "CONTAINS"
    )
    error_message = "An override must have its indexes."
  }
}

run "switched_off" {
  command = plan
  variables {
    backup_days            = 0
    point_in_time_recovery = false
    delete_protection      = false
    encryption_key         = "projects/my-project/locations/europe-west1/keyRings/refeed/cryptoKeys/data"
  }

  assert {
    condition = alltrue([
      for database in google_firestore_database.this :
      database.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_DISABLED"
      && database.delete_protection_state == "DELETE_PROTECTION_DISABLED" && database.deletion_policy == "DELETE"
      && database.cmek_config[0].kms_key_name == var.encryption_key
    ]) && length(google_firestore_backup_schedule.daily) == 0
    error_message = "Each option must be off."
  }
}

run "rejects_default_database" {
  command = plan
  variables { projects = { demo = "(default)" } }
  expect_failures = [var.projects]
}

run "rejects_short_name" {
  command = plan
  variables { projects = { lab = "lab" } }
  expect_failures = [var.projects]
}

run "rejects_shared_database" {
  command = plan
  variables { projects = { demo = "refeed", lab = "refeed" } }
  expect_failures = [var.projects]
}

run "rejects_path_as_indexes" {
  command = plan
  variables { indexes = "firestore.indexes.json" }
  expect_failures = [var.indexes]
}

run "rejects_backups_for_a_year" {
  command = plan
  variables { backup_days = 365 }
  expect_failures = [var.backup_days]
}

run "rejects_bigquery_location" {
  command = plan
  variables { location = "EU" }
  expect_failures = [var.location]
}

run "rejects_malformed_key" {
  command = plan
  variables { encryption_key = "data" }
  expect_failures = [var.encryption_key]
}
