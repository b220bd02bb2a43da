# Every right of a project's identities: who, which role, on what, and why. Nothing else gives any.
#
# `on` is one of
#   bucket           the project's artifact root
#   uploads          the folder uploads/ in it
#   source_buckets   what the project may read of Cloud Storage
#   staging          the project's staging dataset
#   source_datasets  what the project may read of BigQuery
#   database         the project's Firestore database: a condition, since Firestore has no policies of its own
#   gcp_project      all of the Google Cloud project
#   gcp_project_own  the same, but of Cloud Storage the project's bucket only
#   worker           the project's account of Dataflow's workers
#   images           the repository of Refeed's images

locals {
  roles = [
    # The split step reads sources, and writes data sets.
    { who = "split", role = "roles/storage.objectUser", on = "bucket" },              # writes data sets; reads the spec; removes its own claims
    { who = "split", role = "roles/storage.objectViewer", on = "source_buckets" },    # reads sources that are files
    { who = "split", role = "roles/bigquery.dataViewer", on = "source_datasets" },    # reads sources that are tables
    { who = "split", role = "roles/bigquery.dataEditor", on = "staging" },            # makes the results of queries and views, and reads them
    { who = "split", role = "roles/bigquery.readSessionUser", on = "gcp_project" },   # opens read sessions, which the project pays; gives no data
    { who = "split", role = "roles/bigquery.jobUser", on = "gcp_project" },           # runs queries and dry runs, likewise
    { who = "split", role = "roles/datastore.user", on = "database" },                # tells the experiment store how it ended
    { who = "split", role = "roles/dataflow.developer", on = "gcp_project" },         # submits and follows the split's job
    { who = "split", role = "roles/iam.serviceAccountUser", on = "worker" },          # whose workers act as this account
    { who = "worker", role = "roles/dataflow.worker", on = "gcp_project_own" },       # takes work; the role also holds storage.objects.get and create on every bucket
    { who = "worker", role = "roles/storage.objectUser", on = "bucket" },             # writes parts, in its own folder of the data sets
    { who = "worker", role = "roles/storage.objectViewer", on = "source_buckets" },   # reads sources that are files
    { who = "worker", role = "roles/bigquery.dataViewer", on = "source_datasets" },   # reads sources that are tables
    { who = "worker", role = "roles/bigquery.dataViewer", on = "staging" },           # reads the results of queries and views
    { who = "worker", role = "roles/bigquery.readSessionUser", on = "gcp_project" },  # opens read sessions
    { who = "worker", role = "roles/artifactregistry.reader", on = "images" },        # its image
    { who = "train", role = "roles/storage.objectUser", on = "bucket" },              # reads data sets; writes models, records and logs
    { who = "train", role = "roles/datastore.user", on = "database" },                # tells the experiment store how it ended
    { who = "collect", role = "roles/storage.objectUser", on = "bucket" },            # reads records; writes tables and the report
    { who = "collect", role = "roles/datastore.user", on = "database" },              # writes results
    { who = "collect", role = "roles/dataflow.developer", on = "gcp_project" },       # the exit handler cancels the job of a run that was stopped
    { who = "platform", role = "roles/storage.objectViewer", on = "bucket" },         # the Argo server shows reports and logs
    { who = "analysts", role = "roles/storage.objectViewer", on = "bucket" },         # status, logs, report, tables, models
    { who = "analysts", role = "roles/storage.objectCreator", on = "uploads" },       # a source from their own machine; overwrites nothing
    { who = "analysts", role = "roles/datastore.viewer", on = "database" },           # status and results
    { who = "analysts", role = "roles/container.clusterViewer", on = "gcp_project" }, # the cluster's address; what they may do there, RBAC says
  ]

  # Rows that a project without Dataflow does not need.
  of_dataflow = ["roles/dataflow.developer", "roles/iam.serviceAccountUser"]

  # The platform's own, which belong to no project.
  platform_roles = concat(
    [{ member = local.members.node, who = "node", role = "roles/container.defaultNodeServiceAccount", kind = "gcp_project", on = var.gcp_project }],                # logs, metrics
    [for repository in var.repositories : { member = local.members.node, who = "node", role = "roles/artifactregistry.reader", kind = "images", on = repository }], # images of pods
    [for member in var.image_pushers : { member = member, who = member, role = "roles/artifactregistry.writer", kind = "images", on = var.repositories[0] }],       # new images
  )
}
