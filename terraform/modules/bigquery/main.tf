resource "google_bigquery_dataset" "staging" {
  for_each = var.projects

  project                         = var.gcp_project
  dataset_id                      = each.value
  friendly_name                   = "Refeed ${each.key}: staging"
  description                     = "Results of queries and views of the Refeed project ${each.key}, for ${var.expiration_hours} hours."
  location                        = var.location
  default_table_expiration_ms     = var.expiration_hours * 3600 * 1000
  default_partition_expiration_ms = var.expiration_hours * 3600 * 1000 # of a partitioned table the above does not hold
  max_time_travel_hours           = 48                                 # the least: what went can be made again
  delete_contents_on_destroy      = true                               # it holds nothing that stays anyway
  labels                          = { refeed-project = each.key }

  dynamic "default_encryption_configuration" {
    for_each = var.encryption_key[*]

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}
