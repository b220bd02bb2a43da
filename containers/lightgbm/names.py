"""LightGBM's parameter names: their aliases, and the ones that a spec cannot set.

A test compares both with the names that the installed LightGBM knows.
"""

from __future__ import annotations

_ALIASES = """
alpha
bagging_fraction: bagging sub_row subsample
bagging_freq: subsample_freq
bin_construct_sample_cnt: subsample_for_bin
boost_from_average
cat_l2
cat_smooth
data_sample_strategy
early_stopping_round: early_stopping n_iter_no_change early_stopping_rounds
enable_bundle: bundle is_enable_bundle
extra_trees: extra_tree
feature_fraction: sub_feature colsample_bytree
feature_fraction_bynode: colsample_bynode sub_feature_bynode
interaction_constraints
lambda_l1: reg_alpha l1_regularization
lambda_l2: lambda reg_lambda l2_regularization
learning_rate: eta shrinkage_rate
max_bin: max_bins
max_cat_threshold
max_cat_to_onehot
max_delta_step: max_leaf_output max_tree_output
max_depth
min_data_in_bin
min_data_in_leaf: min_data min_samples_leaf min_child_samples min_data_per_leaf
min_data_per_group
min_gain_to_split: min_split_gain
min_sum_hessian_in_leaf: min_hessian min_sum_hessian min_child_weight min_sum_hessian_per_leaf
monotone_constraints: mc monotonic_cst monotone_constraint
monotone_constraints_method: mc_method monotone_constraining_method
monotone_penalty: mc_penalty ms_penalty monotone_splits_penalty
neg_bagging_fraction: neg_bagging neg_sub_row neg_subsample
num_leaves: max_leaf num_leaf max_leaves max_leaf_nodes
objective: app loss application objective_type
other_rate
path_smooth
poisson_max_delta_step
pos_bagging_fraction: pos_bagging pos_sub_row pos_subsample
rounds: num_iterations n_iter nrounds max_iter num_tree num_round num_trees num_rounds
rounds: n_estimators num_iteration num_boost_round
top_rate
tweedie_variance_power
"""

_REFUSED = {
    "Refeed sets it, so that the same data gives the same bytes with any number of threads; "
    "execution.workers is the number of processes": """
deterministic
device_type: device
force_col_wise
force_row_wise
gpu_device_id
gpu_device_id_list
gpu_platform_id
gpu_use_dp
histogram_pool_size: hist_pool_size
is_enable_sparse: sparse is_sparse enable_sparse
local_listen_port: port local_port
machine_list_filename: mlist machine_list machine_list_file
machines: nodes workers
num_gpu
num_machines: num_machine
num_threads: n_jobs nthread nthreads num_thread
time_out
top_k: topk
tree_learner: tree tree_type tree_learner_type
""",
    "all randomness follows from evaluate.seed": """
bagging_seed: bagging_fraction_seed
data_random_seed: data_seed
drop_seed
extra_seed
feature_fraction_seed
objective_seed
seed: random_seed random_state
""",
    "Refeed evaluates the models itself, as the section evaluate says": """
auc_mu_weights
eval_at: map_at ndcg_at map_eval_at ndcg_eval_at
first_metric_only
is_provide_training_metric: train_metric training_metric is_training_metric
metric: metrics metric_types
metric_freq: output_freq
multi_error_top_k
valid: test test_data valid_data test_data_file valid_data_file valid_filenames
""",
    "Refeed hands over the rows and stores the models itself": """
config: config_file
convert_model: convert_model_file
convert_model_language
data: train train_data data_filename train_data_file
forcedbins_filename
forcedsplits_filename: fs forced_splits forced_splits_file forced_splits_filename
header: has_header
input_model: model_in model_input
output_model: model_out model_output
output_result: name_pred pred_name predict_name predict_result prediction_name prediction_result
parser_config_file
pre_partition: is_pre_partition
precise_float_parser
refit_decay_rate
save_binary: is_save_binary is_save_binary_file
saved_feature_importance_type
snapshot_freq: save_period
task: task_type
two_round: two_round_loading use_two_round_loading
verbosity: verbose
""",
    "the section dataset names the columns: target, weight, categorical and features": """
categorical_feature: cat_column cat_feature categorical_column categorical_features
group_column: group query group_id query_id query_column
ignore_column: blacklist ignore_feature
label_column: label
weight_column: weight
""",
    "the classes come from the data": """
num_class: num_classes
""",
    "use class_weight, which names the classes": """
is_unbalance: unbalance unbalanced_sets
scale_pos_weight
""",
    "raw scores would no longer be log-odds, or the target itself": """
reg_sqrt
sigmoid
""",
    "explanations are computed for gradient-boosted trees with constant leaves": """
boosting: boost boosting_type
drop_rate: rate_drop
linear_lambda
linear_tree: linear_trees
max_drop
skip_drop
uniform_drop
xgboost_dart_mode
""",
    "a missing value is a value of its own, and zero is a number": """
use_missing
zero_as_missing
""",
    "it addresses features by position, which depends on the spec": """
cegb_penalty_feature_coupled
cegb_penalty_feature_lazy
cegb_penalty_split
cegb_tradeoff
feature_contri: fc fp feature_contrib feature_penalty
max_bin_by_feature
""",
    "it rounds gradients at random": """
num_grad_quant_bins
quant_train_renew_leaf
stochastic_rounding
use_quantized_grad
""",
    "no objective here uses it": """
bagging_by_query
fair_c
label_gain
lambdarank_norm
lambdarank_position_bias_regularization
lambdarank_truncation_level
""",
    "it is a setting of LightGBM's own prediction": """
num_iteration_predict
pred_early_stop
pred_early_stop_freq
pred_early_stop_margin
predict_contrib: contrib is_predict_contrib
predict_disable_shape_check
predict_leaf_index: leaf_index is_predict_leaf_index
predict_raw_score: raw_score predict_rawscore is_predict_raw_score
start_iteration_predict
""",
    "it may only remove features that no split could use": """
feature_pre_filter
""",
    "any improvement counts; early_stopping_round says how long to wait for one": """
early_stopping_min_delta
""",
}


def _aliases(text: str) -> dict[str, str]:
    """Return the parameter of each alias."""
    lines = (line.partition(": ") for line in text.split("\n"))
    return {alias: name for name, _, names in lines for alias in names.split()}


def _names(text: str) -> list[str]:
    return text.replace(":", "").split()


ALIASES = _aliases(_ALIASES)
"""The parameter of each alias; LightGBM's ``num_iterations`` is ``rounds``."""

REFUSED = {name: reason for reason, text in _REFUSED.items() for name in _names(text)}
"""Why a parameter of LightGBM cannot be set, by each of its names."""

OBJECTIVES = {
    "l2": "regression regression_l2 mean_squared_error mse l2_root root_mean_squared_error rmse",
    "l1": "regression_l1 mean_absolute_error mae",
    "huber": "",
    "quantile": "",
    "poisson": "",
    "gamma": "",
    "tweedie": "",
}
"""LightGBM's other names of each objective."""

OBJECTIVE_NAMES = {name: key for key, names in OBJECTIVES.items() for name in (key, *names.split())}
"""The objective by each of its names."""
