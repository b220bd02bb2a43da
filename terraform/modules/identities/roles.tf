# All grants to a project's identities: who has which role on which resource, and why. No other file grants roles.
#
# `on` is one of
#   bucket           the bucket of the project's artifact root
#   uploads          the uploads/ folder in that bucket
#   source_buckets   the buckets that the project reads sources from
#   staging          the project's staging dataset
#   source_datasets  the BigQuery datasets that the project reads sources from
#   database         the project's Firestore database, as a condition: Firestore has no IAM policies per database
#   gcp_project      the whole Google Cloud project
#   gcp_project_own  the Google Cloud project, restricted to the project's bucket for Cloud Storage
#   worker           the service account of the project's Dataflow workers
#   images           the repository of Refeed images

locals {
  roles = [
    # The split step reads sources and writes datasets.
    { who = "split", role = "roles/storage.objectUser", on = "bucket" },              # writes datasets; reads the spec; deletes its own claims
    { who = "split", role = "roles/storage.objectViewer", on = "source_buckets" },    # reads source files
    { who = "split", role = "roles/bigquery.dataViewer", on = "source_datasets" },    # reads source tables
    { who = "split", role = "roles/bigquery.dataEditor", on = "staging" },            # creates and reads query and view results
    { who = "split", role = "roles/bigquery.readSessionUser", on = "gcp_project" },   # opens read sessions, billed to the project; grants no data access
    { who = "split", role = "roles/bigquery.jobUser", on = "gcp_project" },           # runs queries and dry runs, billed to the project; grants no data access
    { who = "split", role = "roles/datastore.user", on = "database" },                # records the step's status in the experiment store
    { who = "split", role = "roles/dataflow.developer", on = "gcp_project" },         # submits and monitors the split job
    { who = "split", role = "roles/iam.serviceAccountUser", on = "worker" },          # starts workers that run as this account
    { who = "worker", role = "roles/dataflow.worker", on = "gcp_project_own" },       # receives work items; includes storage.objects.get and create on all buckets, hence the condition
    { who = "worker", role = "roles/storage.objectUser", on = "bucket" },             # writes part files in the job's folder of datasets/
    { who = "worker", role = "roles/storage.objectViewer", on = "source_buckets" },   # reads source files
    { who = "worker", role = "roles/bigquery.dataViewer", on = "source_datasets" },   # reads source tables
    { who = "worker", role = "roles/bigquery.dataViewer", on = "staging" },           # reads query and view results
    { who = "worker", role = "roles/bigquery.readSessionUser", on = "gcp_project" },  # opens read sessions
    { who = "worker", role = "roles/artifactregistry.reader", on = "images" },        # pulls the worker image
    { who = "train", role = "roles/storage.objectUser", on = "bucket" },              # reads datasets; writes models, records and logs
    { who = "train", role = "roles/datastore.user", on = "database" },                # records the step's status in the experiment store
    { who = "collect", role = "roles/storage.objectUser", on = "bucket" },            # reads records; writes tables and the report
    { who = "collect", role = "roles/datastore.user", on = "database" },              # writes results
    { who = "collect", role = "roles/dataflow.developer", on = "gcp_project" },       # lets the exit handler cancel the job of a stopped run
    { who = "platform", role = "roles/storage.objectViewer", on = "bucket" },         # shows reports and logs in the Argo UI
    { who = "analysts", role = "roles/storage.objectViewer", on = "bucket" },         # reads status, logs, reports, tables and models
    { who = "analysts", role = "roles/storage.objectCreator", on = "uploads" },       # uploads sources; cannot overwrite objects
    { who = "analysts", role = "roles/datastore.viewer", on = "database" },           # reads status and results
    { who = "analysts", role = "roles/container.clusterViewer", on = "gcp_project" }, # gets the cluster's address; RBAC limits access inside the cluster
  ]

  # Roles that a project needs only if it uses Dataflow.
  of_dataflow = ["roles/dataflow.developer", "roles/iam.serviceAccountUser"]

  # Grants of the platform, which belong to no project.
  platform_roles = concat(
    [{ member = local.members.node, who = "node", role = "roles/container.defaultNodeServiceAccount", kind = "gcp_project", on = var.gcp_project }],                # writes logs and metrics
    [for repository in var.repositories : { member = local.members.node, who = "node", role = "roles/artifactregistry.reader", kind = "images", on = repository }], # pulls pod images
    [for member in var.image_pushers : { member = member, who = member, role = "roles/artifactregistry.writer", kind = "images", on = var.repositories[0] }],       # pushes images
  )
}
